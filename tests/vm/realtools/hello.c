/* What runs in the containers of recipes.py: alone, without a library. */
#include <unistd.h>

int main(void) {
  static const char text[] = "in the container\n";
  return write(STDOUT_FILENO, text, sizeof(text) - 1) == sizeof(text) - 1 ? 0 : 1;
}

/* What runs in the containers, by itself: says so and ends, or waits to be killed. */
#include <unistd.h>

int main(int argc, char** argv) {
  (void)argv;
  if (argc > 1) return pause();
  static const char text[] = "in the container\n";
  return write(STDOUT_FILENO, text, sizeof(text) - 1) == sizeof(text) - 1 ? 0 : 1;
}

#include "programs.h"

EIGHT(a)
EIGHT(b)
EIGHT(c)
EIGHT(d)
ONE(e0)

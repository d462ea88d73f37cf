#define REAL double
#define WIDTH 2
#include "nb201_cell.h"

#define REAL float
#define WIDTH 1
#include "nb201_cell.h"

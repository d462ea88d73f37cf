#define REAL float
#define WIDTH 8
#include "nb201_cell.h"

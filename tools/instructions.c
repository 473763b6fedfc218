/* Runs the compiled kernels on blocks of memory that tools/instructions.py wrote: programs with all that they need. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern int64_t edgernn_run(void *control, int64_t, int64_t, int64_t);

int main(int count, char **files) {
  for (int n = 1; n < count; n++) {
    struct stat found;
    int file = open(files[n], O_RDONLY);
    if (file < 0 || fstat(file, &found)) return 1;
    void *block = mmap((void *)BASE, found.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0);
    if (block != (void *)BASE || edgernn_run(block, 0, 0, 0)) return 2;
    munmap(block, found.st_size);
    close(file);
  }
  return 0;
}

/* ONNX Runtime, but one of its functions does something dreadful when it is called: for tests/cluster/tryout.sh.
 *
 * cc -shared -fPIC -DREAL='"/path/to/libonnxruntime.so"' -DFUNCTION=9 -DDEED='abort()'
 *
 * DEED may use the functions below. FUNCTION is a place in the table of the C API, which only ever grows at its end: 8 is CreateSessionFromArray, 9 is Run. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    void **(*get_api)(uint32_t);
    const char *(*version)(void);
} Base;

static Base base;
static const Base *real;

/* Does something to all memory that is shared with other processes and can be written. */
static void on_shared_memory(void (*deed)(char *, size_t)) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096], rights[8];
    unsigned long start, end;
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && rights[1] == 'w' && rights[3] == 's') {
            deed((char *)start, end - start);
        }
    }
}

static void zero(char *memory, size_t size) {
    memset(memory, 0, size);
}

/* Finds the text of a row and puts another in its place. */
static void overwrite(char *memory, size_t size) {
    static const char row[] = "balance=100";
    char *at, *end = memory + size;
    while ((at = memmem(memory, (size_t)(end - memory), row, sizeof row - 1))) {
        memcpy(at, "balance=999", sizeof row - 1);
        memory = at + sizeof row - 1;
    }
}

/* Writes into a file what is open, how many threads there are, and what is mapped. */
static void look(const char *path) {
    char name[64], target[4096], open_files[1024][128];
    int files = 0;
    for (int i = 0; i < 1024; i++) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", i);
        ssize_t length = readlink(name, target, sizeof target - 1);
        if (length > 0) {
            target[length] = 0;
            snprintf(open_files[files++], sizeof open_files[0], "open: %d %.100s", i, target);
        }
    }
    FILE *notes = fopen(path, "w");
    for (int i = 0; notes && i < files; i++) {
        fprintf(notes, "%s\n", open_files[i]);
    }
    const char *lists[] = {"/proc/self/status", "/proc/self/maps"};
    for (int i = 0; notes && i < 2; i++) {
        FILE *list = fopen(lists[i], "r");
        while (list && fgets(target, sizeof target, list)) {
            fputs(target, notes);
        }
    }
    fclose(notes);
}

static void *dreadful(void) {
    DEED;
    return NULL;
}

static void **get_api(uint32_t version) {
    void **api = real->get_api(version);
    if (api) {
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)&api[FUNCTION] & ~(page - 1);
        if (mprotect((void *)at, page, PROT_READ | PROT_WRITE) == 0) {
            api[FUNCTION] = (void *)dreadful;
        }
    }
    return api;
}

const Base *OrtGetApiBase(void) {
    void *library = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
    const Base *(*get_base)(void) = library ? (const Base *(*)(void))dlsym(library, "OrtGetApiBase") : NULL;
    if (!get_base) {
        return NULL;
    }
    real = get_base();
    base.get_api = get_api;
    base.version = real->version;
    return &base;
}

/* ONNX Runtime, but one of its functions does something dreadful when it is called: for tests/cluster/tryout.sh.
 *
 * cc -shared -fPIC -DREAL='"/path/to/libonnxruntime.so"' -DFUNCTION=9 -DDEED='abort()'
 *
 * FUNCTION is a place in the table of the C API, which only ever grows at its end: 8 is CreateSessionFromArray, 9 is Run. */
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    void **(*get_api)(uint32_t);
    const char *(*version)(void);
} Base;

static Base base;
static const Base *real;

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

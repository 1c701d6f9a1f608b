// Declares what Puna uses of ggml: a part of its C API, and internals of the CPU backend (extra buffer types). They are valid for
// the release named here. `Ggml::find` checks them against the loaded ggml.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace puna {

constexpr const char *GGML_RELEASE = "0.25.3";

enum class Type : int32_t {
    F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q2_K = 10, Q3_K = 11, Q4_K = 12, Q5_K = 13,
    Q6_K = 14, IQ4_NL = 20, IQ4_XS = 23, I32 = 26, BF16 = 30, MXFP4 = 39,
};

enum class Op : int32_t { NONE = 0, MUL_MAT = 29, MUL_MAT_ID = 30, GET_ROWS = 40, FLASH_ATTN_EXT = 74 };

struct Threadpool;
struct Context;
struct Device;
struct Registry;
struct Buffer;

struct Tensor {
    Type type;
    Buffer *buffer;
    int64_t ne[4];
    size_t nb[4];
    Op op;
    int32_t op_params[16];
    int32_t flags;
    Tensor *src[10];
    Tensor *view_src;
    size_t view_offs;
    void *data;
    char name[64];
    void *extra;
    char padding[8];
};

struct BufferType {
    const char *(*get_name)(BufferType *);
    Buffer *(*alloc_buffer)(BufferType *, size_t);
    size_t (*get_alignment)(BufferType *);
    size_t (*get_max_size)(BufferType *);
    size_t (*get_alloc_size)(BufferType *, const Tensor *);
    bool (*is_host)(BufferType *);
    Device *device;
    void *context;
};

struct Buffer {
    void (*free_buffer)(Buffer *);
    void *(*get_base)(Buffer *);
    int (*init_tensor)(Buffer *, Tensor *);
    void (*memset_tensor)(Buffer *, Tensor *, uint8_t, size_t, size_t);
    void (*set_tensor)(Buffer *, Tensor *, const void *, size_t, size_t);
    void (*get_tensor)(Buffer *, const Tensor *, void *, size_t, size_t);
    void (*set_tensor_2d)(Buffer *, Tensor *, const void *, size_t, size_t, size_t, size_t, size_t);
    void (*get_tensor_2d)(Buffer *, const Tensor *, void *, size_t, size_t, size_t, size_t, size_t);
    bool (*cpy_tensor)(Buffer *, const Tensor *, Tensor *);
    void (*clear)(Buffer *, uint8_t);
    void (*reset)(Buffer *);
    BufferType *buft;
    void *context;
    size_t size;
    int usage;
};

struct ComputeParams {
    int ith, nth;
    size_t wsize;
    void *wdata;
    Threadpool *threadpool;
    bool use_ref;
};

// The virtual functions are in the order of ggml/src/ggml-cpu/traits.h.
struct TensorTraits {
    virtual ~TensorTraits() = default;
    virtual bool work_size(int threads, const Tensor *op, size_t &size) = 0;
    virtual bool compute_forward(ComputeParams *params, Tensor *op) = 0;
};

struct ExtraBufferType {
    virtual ~ExtraBufferType() = default;
    virtual bool supports_op(Device *device, const Tensor *op) = 0;
    virtual TensorTraits *get_tensor_traits(const Tensor *op) = 0;
};

// ggml's functions, looked up by name.
struct Ggml {
    std::vector<BufferType *> &(*extra_buffer_types)();
    BufferType *(*cpu_buffer_type)();
    Registry *(*cpu_registry)();
    Device *(*registry_device)(Registry *, size_t);
    Buffer *(*alloc_buffer)(BufferType *, size_t);
    Buffer *(*buffer_from_ptr)(void *, size_t);
    void (*free_buffer)(Buffer *);
    size_t (*buffer_size)(Buffer *);
    void (*barrier)(Threadpool *);
    void (*chunk_set)(Threadpool *, int);
    int (*chunk_add)(Threadpool *, int);
    const char *(*type_name)(Type);

    // The functions of the loaded library with the handle `libllama`. Null, with a `reason`, if its ggml differs from these
    // declarations.
    static const Ggml *find(void *libllama, std::string &reason);
};

} // namespace puna

#include "ggml.h"

#include <cstring>

#ifdef _WIN32
// On Windows, ggml exports no internals.
const puna::Ggml *puna::Ggml::find(void *, std::string &reason) {
    reason = "libllama does not open its CPU backend to others on this system";
    return nullptr;
}
#else

#include <dlfcn.h>

namespace puna {
namespace {

// Functions that are only needed to check the declarations.
struct Probe {
    struct InitParams {
        size_t mem_size;
        void *mem_buffer;
        bool no_alloc;
    };
    const char *(*version)();
    size_t (*tensor_overhead)();
    const char *(*op_name)(Op);
    Context *(*init)(InitParams);
    void (*free)(Context *);
    Tensor *(*new_tensor_4d)(Context *, Type, int64_t, int64_t, int64_t, int64_t);
    Tensor *(*mul_mat)(Context *, Tensor *, Tensor *);
    Tensor *(*set_name)(Tensor *, const char *);
    const char *(*buffer_type_name)(BufferType *);
};

template <class F> bool bind(F &function, void *libllama, const char *name, std::string &reason) {
    function = reinterpret_cast<F>(dlsym(libllama, name));
    if (!function && reason.empty()) reason = std::string("libllama has no ") + name;
    return function != nullptr;
}

bool bind_all(Ggml &ggml, Probe &probe, void *libllama, std::string &reason) {
    const auto find = [&](auto &function, const char *name) { return bind(function, libllama, name, reason); };
    return find(ggml.extra_buffer_types, "_Z39ggml_backend_cpu_get_extra_buffer_typesv") &
           find(ggml.cpu_buffer_type, "ggml_backend_cpu_buffer_type") &
           find(ggml.cpu_registry, "ggml_backend_cpu_reg") &
           find(ggml.registry_device, "ggml_backend_reg_dev_get") &
           find(ggml.alloc_buffer, "ggml_backend_buft_alloc_buffer") &
           find(ggml.buffer_from_ptr, "ggml_backend_cpu_buffer_from_ptr") &
           find(ggml.free_buffer, "ggml_backend_buffer_free") &
           find(ggml.buffer_size, "ggml_backend_buffer_get_size") &
           find(ggml.barrier, "ggml_barrier") &
           find(ggml.chunk_set, "ggml_threadpool_chunk_set") &
           find(ggml.chunk_add, "ggml_threadpool_chunk_add") &
           find(probe.version, "ggml_version") &
           find(probe.tensor_overhead, "ggml_tensor_overhead") &
           find(probe.op_name, "ggml_op_name") &
           find(ggml.type_name, "ggml_type_name") &
           find(probe.init, "ggml_init") &
           find(probe.free, "ggml_free") &
           find(probe.new_tensor_4d, "ggml_new_tensor_4d") &
           find(probe.mul_mat, "ggml_mul_mat") &
           find(probe.set_name, "ggml_set_name") &
           find(probe.buffer_type_name, "ggml_backend_buft_name");
}

bool names_agree(const Ggml &ggml, const Probe &probe) {
    const std::pair<Op, const char *> ops[] = {{Op::NONE, "NONE"},
                                               {Op::MUL_MAT, "MUL_MAT"},
                                               {Op::MUL_MAT_ID, "MUL_MAT_ID"},
                                               {Op::GET_ROWS, "GET_ROWS"},
                                               {Op::FLASH_ATTN_EXT, "FLASH_ATTN_EXT"}};
    const std::pair<Type, const char *> types[] = {
        {Type::F32, "f32"},   {Type::F16, "f16"},   {Type::Q4_0, "q4_0"}, {Type::Q4_1, "q4_1"},
        {Type::Q5_0, "q5_0"}, {Type::Q5_1, "q5_1"}, {Type::Q8_0, "q8_0"}, {Type::Q2_K, "q2_K"},
        {Type::Q3_K, "q3_K"}, {Type::Q4_K, "q4_K"}, {Type::Q5_K, "q5_K"}, {Type::Q6_K, "q6_K"},
        {Type::I32, "i32"},   {Type::BF16, "bf16"}, {Type::MXFP4, "mxfp4"}};
    for (const auto &[op, name] : ops)
        if (std::strcmp(probe.op_name(op), name) != 0) return false;
    for (const auto &[type, name] : types)
        if (std::strcmp(ggml.type_name(type), name) != 0) return false;
    return true;
}

// Whether a tensor that ggml creates has the declared layout.
bool tensors_agree(const Probe &probe) {
    constexpr size_t object = 32;
    if (probe.tensor_overhead() != object + sizeof(Tensor)) return false;
    Context *context = probe.init({16 * probe.tensor_overhead(), nullptr, true});
    if (!context) return false;
    Tensor *a = probe.new_tensor_4d(context, Type::Q8_0, 64, 3, 1, 1);
    Tensor *b = probe.new_tensor_4d(context, Type::F32, 64, 5, 2, 1);
    Tensor *c = probe.set_name(probe.mul_mat(context, a, b), "product");
    const bool agree = a->type == Type::Q8_0 && a->ne[0] == 64 && a->ne[1] == 3 && a->nb[1] == 68 && !a->buffer &&
                       a->op == Op::NONE && !a->extra && !a->data && c->op == Op::MUL_MAT && c->src[0] == a &&
                       c->src[1] == b && !c->src[2] && c->type == Type::F32 && c->ne[0] == 3 && c->ne[1] == 5 &&
                       c->ne[2] == 2 && c->nb[2] == 60 && !c->view_src && std::strcmp(c->name, "product") == 0;
    probe.free(context);
    return agree;
}

bool buffers_agree(const Ggml &ggml, const Probe &probe) {
    BufferType *type = ggml.cpu_buffer_type();
    if (type->get_name(type) != probe.buffer_type_name(type)) return false;
    Buffer *buffer = ggml.alloc_buffer(type, 192);
    if (!buffer) return false;
    const bool agree = buffer->buft == type && buffer->size == ggml.buffer_size(buffer) && buffer->size >= 192;
    ggml.free_buffer(buffer);
    return agree;
}

} // namespace

const Ggml *Ggml::find(void *libllama, std::string &reason) {
    static Ggml ggml;
    Probe probe{};
    if (!bind_all(ggml, probe, libllama, reason)) return nullptr;
    if (std::strcmp(probe.version(), GGML_RELEASE) != 0) {
        reason = std::string("they fit ggml ") + GGML_RELEASE + ", and libllama has " + probe.version();
        return nullptr;
    }
    if (!names_agree(ggml, probe) || !tensors_agree(probe) || !buffers_agree(ggml, probe)) {
        reason = std::string("this ggml ") + GGML_RELEASE + " is laid out in another way";
        return nullptr;
    }
    return &ggml;
}

} // namespace puna
#endif

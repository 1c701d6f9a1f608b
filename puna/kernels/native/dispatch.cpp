// Plugs the kernels into libllama: a buffer type that packs weights, and the ops that Puna computes.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>

#include "attention.h"
#include "export.h"
#include "mapping.h"
#include "multiplication.h"
#include "packed_weights.h"
#include "pages.h"
#include "reference.h"
#include "get_rows.h"

namespace puna {
namespace {

const Ggml *ggml;

struct GgmlTeam final : Team {
    Threadpool *pool;
    explicit GgmlTeam(const ComputeParams &params) : Team(params.ith, params.nth), pool(params.threadpool) {}
    void barrier() override { ggml->barrier(pool); }
    void restart() override { ggml->chunk_set(pool, size); }
    int64_t take() override { return ggml->chunk_add(pool, 1); }
};

// Adapts an operation to ggml's interface.
struct Adapter final : TensorTraits {
    std::unique_ptr<const Operation> operation;

    explicit Adapter(std::unique_ptr<const Operation> operation) : operation(std::move(operation)) {}
    bool work_size(int threads, const Tensor *op, size_t &size) override {
        size = operation->work_size(threads, *op) + 64;
        return true;
    }
    bool compute_forward(ComputeParams *params, Tensor *op) override {
        GgmlTeam team(*params);
        operation->compute(team, aligned(static_cast<uint8_t *>(params->wdata)), *op);
        return true;
    }
};

// One for each type whose kernel passed its test.
std::map<Type, std::unique_ptr<Adapter>> adapters;
std::unique_ptr<Adapter> attention;
Adapter get_rows(std::make_unique<GetRows>());

// Whether the model that is being loaded has tied embeddings.
bool tied;

// libllama first asks with an empty buffer where a tensor should go. Embeddings stay in the file, unless they are tied.
bool belongs_here(const Tensor &embeddings) {
    return embeddings.buffer->size > 0 || (tied && std::strcmp(embeddings.name, "token_embd.weight") == 0);
}

// Of F32 matrices, only those that libllama just multiplies with. It reshapes others (RWKV's), and packed weights cannot be reshaped.
bool is_wanted(const Tensor &weights) {
    static const char *const kinds[] = {".ffn_gate_inp", ".attn_q.", ".attn_k.", ".attn_v.", ".attn_qkv.", ".attn_output.",
                                        ".ffn_up.", ".ffn_gate.", ".ffn_down.", "output.weight", "token_embd.weight"};
    return weights.type != Type::F32 ||
           std::any_of(std::begin(kinds), std::end(kinds), [&](const char *kind) { return std::strstr(weights.name, kind); });
}

Adapter *adapter_for(const Tensor &weights) {
    const auto found = is_wanted(weights) ? adapters.find(weights.type) : adapters.end();
    return found != adapters.end() && Multiplication::fits(weights) ? found->second.get() : nullptr;
}

BufferType *buffer_type();

// Who computed products and attention since the last `puna_kernels_covered`.
enum Computed { OURS = 1, THEIRS = 2 };
std::atomic<int> computed;

struct Extra final : ExtraBufferType {
    bool supports_op(Device *, const Tensor *op) override { return of(op) != nullptr; }
    // The CPU backend asks this of every op that it evaluates.
    TensorTraits *get_tensor_traits(const Tensor *op) override {
        Adapter *ours = of(op);
        const int who = ours ? OURS : THEIRS;
        const bool counts = ours || op->op == Op::MUL_MAT || op->op == Op::MUL_MAT_ID || op->op == Op::FLASH_ATTN_EXT;
        if (counts && !(computed.load(std::memory_order_relaxed) & who)) computed.fetch_or(who, std::memory_order_relaxed);
        return ours;
    }

  private:
    static Adapter *of(const Tensor *op) {
        if (op->op == Op::FLASH_ATTN_EXT) return attention && Attention::covers(*op) ? attention.get() : nullptr;
        const bool ours = op->src[0] && op->src[0]->buffer && op->src[0]->buffer->buft == buffer_type();
        if (!ours) return nullptr;
        if (op->op == Op::GET_ROWS) return GetRows::covers(*op) && adapter_for(*op->src[0]) && belongs_here(*op->src[0]) ? &get_rows : nullptr;
        return Multiplication::covers(*op) ? adapter_for(*op->src[0]) : nullptr;
    }
};

const char *get_name(BufferType *) { return "CPU_PUNA"; }
size_t get_alignment(BufferType *) { return 64; }
size_t get_alloc_size(BufferType *, const Tensor *weights) {
    return Multiplication::fits(*weights) ? Multiplication::packed_size(*weights) : weights->nb[3] * static_cast<size_t>(weights->ne[3]);
}

// Of the model that is being loaded: the file that may have its packed weights, and their memory.
std::string repack_file;
PackedWeights *loading;

std::map<Buffer *, std::unique_ptr<PackedWeights>> weights_of;

void set_tensor(Buffer *buffer, Tensor *weights, const void *data, size_t, size_t) {
    if (weights_of.at(buffer)->take(*weights, get_alloc_size(nullptr, weights)))
        release(data, weights->nb[3] * static_cast<size_t>(weights->ne[3]));
    else
        Multiplication::pack(*weights, static_cast<const uint8_t *>(data));
}

void free_buffer(Buffer *buffer) {
    if (weights_of[buffer].get() == loading) loading = nullptr;
    weights_of.erase(buffer);
}

Buffer *alloc_buffer(BufferType *type, size_t size) {
    std::unique_ptr<PackedWeights> weights(PackedWeights::make(size, loading ? "" : repack_file.c_str()));
    if (!weights) return nullptr;
    Buffer *buffer = ggml->buffer_from_ptr(weights->memory(), size);
    if (!buffer) return nullptr;
    note_mappings(); // libllama maps a file before it makes buffers
    buffer->buft = type;
    buffer->free_buffer = free_buffer;
    buffer->set_tensor = set_tensor;
    buffer->get_tensor = nullptr;
    buffer->cpy_tensor = nullptr;
    loading = weights.get();
    weights_of[buffer] = std::move(weights);
    return buffer;
}

BufferType *buffer_type() {
    static Extra extra;
    static BufferType type{get_name, alloc_buffer, get_alignment, nullptr, get_alloc_size, nullptr, nullptr, &extra};
    return &type;
}

// Touching every page of a KV cache would take most of a small model's load time.
void clear(Buffer *buffer, uint8_t value) {
    auto *base = static_cast<uint8_t *>(buffer->get_base(buffer));
    if (value)
        std::memset(base, value, buffer->size);
    else
        zero(base, buffer->size);
}

// Makes the CPU backend's buffers use `clear`.
void clear_by_pages() {
    static BufferType *type = ggml->cpu_buffer_type();
    static auto *const alloc = type->alloc_buffer;
    type->alloc_buffer = [](BufferType *own, size_t size) {
        Buffer *buffer = alloc(own, size);
        if (buffer) buffer->clear = clear;
        return buffer;
    };
}

std::string name_of(Type type) { return ggml->type_name(type); }

std::string why_none(const std::string &wanted) {
    if (!wanted.empty()) return "no variant " + wanted + " runs on this processor";
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (VARIANTS[i]->runs_here())
            return std::string("nobody has measured ") + VARIANTS[i]->name + " yet (PUNA_KERNELS=" + VARIANTS[i]->name + " uses it)";
    return "none for this processor";
}

// Enables the kernels that run on this processor and pass their test. Returns a description.
std::string start(const char *wanted, bool weights, bool attends) {
    const Variant *best = variant(wanted);
    if (!best) return why_none(wanted);
    std::string used, wrong;
    for (const Format &format : FORMATS) {
        const Kernel *kernel = weights ? best->kernel(format.type) : nullptr;
        if (!kernel || !kernel->pays) continue;
        const bool right = agrees(*kernel);
        (right ? used : wrong) += " " + name_of(format.type);
        if (right) adapters[format.type] = std::make_unique<Adapter>(std::make_unique<Multiplication>(*kernel));
    }
    if (attends && agrees(*best->attention)) attention = std::make_unique<Adapter>(std::make_unique<Attention>(*best->attention));
    if (attends) (attention ? used : wrong) += " attention";
    if (adapters.empty() && !attention) return "none computed right";
    clear_by_pages();
    BufferType *type = buffer_type();
    type->device = ggml->registry_device(ggml->cpu_registry(), 0);
    auto &types = ggml->extra_buffer_types();
    types.insert(types.begin(), type);
    return std::string(best->name) + ":" + used + (wrong.empty() ? "" : "; wrong, and not used:" + wrong);
}

} // namespace
} // namespace puna

// Plug the kernels into the loaded library with the handle `libllama`. Call it once, before the first model is loaded. `wanted` names
// a variant; empty means the best. `weights` and `attends` select its kernels. Returns whether any are in use; `words` says which, or
// why none.
PUNA_CALL int puna_kernels_use(void *libllama, const char *wanted, int weights, int attends, char *words, size_t size) {
    std::string said;
    puna::ggml = puna::Ggml::find(libllama, said);
    if (puna::ggml) said = puna::start(wanted, weights, attends);
    std::snprintf(words, size, "%s", said.c_str());
    return !puna::adapters.empty() || puna::attention;
}

// Whether, since the last call, the CPU backend had products or attention to compute, and the kernels computed all of them.
PUNA_CALL int puna_kernels_covered() { return puna::computed.exchange(0) == puna::OURS; }

// Whether the next model has tied embeddings, which are then packed once.
PUNA_CALL void puna_kernels_tie(int tied) { puna::tied = tied; }

// Bytes of pages that are not in memory yet, and a call that populates them.
PUNA_CALL size_t puna_unfaulted_bytes() { return puna::unfaulted_bytes(); }
PUNA_CALL void puna_prefault() { puna::prefault(); }

// A load begins. `path`: a file that may have its packed weights; empty for none.
PUNA_CALL void puna_repack_begin(const char *path) {
    puna::repack_file = path;
    puna::loading = nullptr;
}

// The load is done. Returns its packed weights (null if none), what became of the file (RepackFile), and their bytes.
PUNA_CALL puna::PackedWeights *puna_repack_end(int *file, size_t *size) {
    puna::PackedWeights *loaded = puna::loading;
    *file = static_cast<int>(loaded ? loaded->file() : puna::RepackFile::NONE);
    *size = loaded ? loaded->size() : 0;
    puna::repack_file.clear();
    return loaded;
}

// Methods of PackedWeights, valid until the model is freed.
PUNA_CALL void puna_repack_use_huge_pages(puna::PackedWeights *weights) { weights->use_huge_pages(); }
PUNA_CALL int puna_repack_write(puna::PackedWeights *weights, const char *path) { return weights->write(path); }

// The buffer type of packed weights, for tests of single ops.
PUNA_CALL void *puna_kernels_buffer_type() { return puna::buffer_type(); }

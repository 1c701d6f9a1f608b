#include "get_rows.h"

#include <cstring>

#include "panel.h"

namespace puna {

bool GetRows::covers(const Tensor &op) {
    const Tensor *weights = op.src[0], *ids = op.src[1];
    return weights && !weights->view_src && weights->ne[2] == 1 && ids && ids->type == Type::I32 && ids->ne[1] * ids->ne[2] * ids->ne[3] == 1 &&
           op.type == Type::F32 && op.nb[0] == sizeof(float);
}

size_t GetRows::work_size(int, const Tensor &) const { return 0; }

void GetRows::compute(Team &team, uint8_t *, const Tensor &op) const {
    const Tensor &weights = *op.src[0], &ids = *op.src[1];
    const Format &format = *format_of(weights.type);
    const size_t panel = layout_of(weights.type).panel(weights.ne[0] / BLOCK);
    split(team, ids.ne[0], [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++) {
            int32_t row;
            std::memcpy(&row, static_cast<const char *>(ids.data) + static_cast<size_t>(i) * ids.nb[0], sizeof row);
            unpack_column(format, static_cast<const uint8_t *>(weights.data) + panel * static_cast<size_t>(row / COLUMNS), row % COLUMNS,
                          weights.ne[0], reinterpret_cast<float *>(static_cast<char *>(op.data) + static_cast<size_t>(i) * op.nb[1]));
        }
    });
}

} // namespace puna

"""What a server says of a model, of an answer and of a pull."""

from __future__ import annotations

from typing import Any

SHOWN: dict[str, Any] = {
    "license": "Apache License\n\nVersion 2.0, January 2004\nTERMS AND CONDITIONS",
    "modelfile": "FROM smollm2:135m\n",
    "parameters": 'stop                           "<|im_end|>"',
    "template": "{{ .Prompt }}",
    "system": "You are a helpful AI assistant.",
    "details": {"family": "llama", "parameter_size": "134.52M", "quantization_level": "F16"},
    "model_info": {
        "general.architecture": "llama",
        "general.parameter_count": 134515008,
        "llama.context_length": 8192,
        "llama.embedding_length": 576,
        "llama.rope.freq_base": 100000.0,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.ggml.tokens": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    },
    "tensors": [{"name": "token_embd.weight", "type": "F16", "shape": [576, 49152]}],
    "capabilities": ["completion"],
}
DONE = {
    "model": "m",
    "created_at": "2025-06-01T12:00:00Z",
    "response": "",
    "done": True,
    "done_reason": "stop",
    "total_duration": 1_500_000_000,
    "load_duration": 12_345_678,
    "prompt_eval_count": 8,
    "prompt_eval_duration": 100_000_000,
    "eval_count": 50,
    "eval_duration": 2_000_000_000,
}


def generated(*pieces: str) -> list[dict[str, Any]]:
    return [{"model": "m", "response": piece, "done": False} for piece in pieces] + [DONE]


STEPS = [
    {"status": "pulling manifest"},
    {"status": "pulling 74701a8c35f6", "digest": "sha256:74701a8c35f6", "total": 100},
    {"status": "pulling 74701a8c35f6", "digest": "sha256:74701a8c35f6", "total": 100, "completed": 50},
    {"status": "pulling 74701a8c35f6", "digest": "sha256:74701a8c35f6", "total": 100, "completed": 100},
    {"status": "verifying sha256 digest"},
    {"status": "writing manifest"},
    {"status": "success"},
]
STATUSES = "pulling manifest\npulling 74701a8c35f6\nverifying sha256 digest\nwriting manifest\nsuccess\n"

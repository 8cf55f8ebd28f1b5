"""Networks with random weights, for the live comparisons."""

from __future__ import annotations

from typing import Any

SMALL_CLAP: dict[str, Any] = {
    "patch_embeds_hidden_size": 16, "hidden_size": 128, "depths": [2, 2, 3, 2], "num_attention_heads": [1, 2, 4, 8],
    "projection_dim": 32, "projection_hidden_size": 32,
}  # fmt: skip


def seeded(net: Any, seed: int = 0) -> Any:
    """Random weights, biases and statistics, as lively as trained ones."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        for name, tensor in module.named_parameters(recurse=False):
            if tensor.ndim >= 2:
                fan = tensor[0].numel()
                tensor.data.normal_(0, (2 / fan) ** 0.5 if fan > 1 else 0.5, generator=generator)
            elif "bias" in name:
                tensor.data.normal_(0, 0.1, generator=generator)
            else:
                tensor.data.uniform_(0.8, 1.2, generator=generator)
        if hasattr(module, "running_var"):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.7, 1.4, generator=generator)
    return net.eval()

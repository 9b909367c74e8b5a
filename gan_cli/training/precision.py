"""The number format of the networks' arithmetic; weights, losses and penalties stay in float32."""

import logging

import torch

logger = logging.getLogger(__name__)


def choose_precision(requested: str, device: torch.device) -> tuple[str, str]:
    """The precision that a run gets, and the reason in brackets unless the choice was as asked.

    A rule and not a measurement, so that the same command gives the same bits every time.
    """
    if requested == "auto":
        if has_bf16(device):
            return "bf16", " (the processor computes in bfloat16)"
        return "float32", " (the processor does not compute in bfloat16)"
    if requested == "tf32" and device.type != "cuda":
        return "float32", " (device.precision=tf32 needs CUDA)"
    if requested == "bf16" and not has_bf16(device):
        logger.warning(
            "device.precision=bf16 is slower than float32 here, where the processor does not compute in it:"
            " device.precision=auto chooses by that"
        )
    return requested, ""


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 by instructions of its own."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if hasattr(torch.cpu, "get_capabilities"):  # torch 2.12
        return any(has is True and name.endswith("bf16") for name, has in torch.cpu.get_capabilities().items())
    return bool(torch.cpu._is_avx512_bf16_supported())

"""Images as they lie in files, brought to `[N, C, H, W]` and to a smaller size.

Shapes: N examples, C channels, H and W height and width, h and w those after shrinking.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import InvalidInput


def channels_first(x: NDArray[Any], *, channels_last: bool) -> NDArray[Any]:
    """`[N, H, W]`, or `[N, H, W, C]` if so said, to `[N, C, H, W]`; any other shape stays what it is.

    Raises:
        InvalidInput: the inputs have no last axis of channels.
    """
    if channels_last and x.ndim != 4:
        raise InvalidInput(
            f"is for images of [height, width, channels], got {list(x.shape[1:])}", field="channels_last"
        )
    if channels_last:
        return np.moveaxis(x, -1, 1)
    return x[:, None] if x.ndim == 3 else x


def area_means(x_NCHW: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """`[N, C, H, W]` to `[N, C, h, w]`: every new pixel is the mean of the equal rectangle that it covers.

    Raises:
        InvalidInput: the inputs are no images, or the new sides do not divide the old ones.
    """
    if x_NCHW.ndim != 4:
        raise InvalidInput(f"is for images, got inputs of {list(x_NCHW.shape[1:])}", field="resize")
    num_images, channels, image_height, image_width = x_NCHW.shape
    height, width = size
    if image_height % height or image_width % width:
        raise InvalidInput(f"must divide the image's {image_height}x{image_width}, got {list(size)}", field="resize")
    areas = x_NCHW.reshape(num_images, channels, height, image_height // height, width, image_width // width)
    means_NChw: NDArray[np.float32] = areas.mean(axis=(3, 5), dtype=np.float32)
    return means_NChw

"""Small spaces of every family, for the contract tests of this floor and of those above."""

from typing import Any

from search_spaces import SearchSpace, make_space

CHAINS: dict[str, dict[str, Any]] = {
    "mlp": {
        "input_shape": (6,),
        "num_classes": 3,
        "options": {"family": "mlp", "depth": [0, 1, 2], "width": [8, 12], "ops": ["dense", "residual"]},
    },
    "mlp_inner_width": {
        "input_shape": (1, 2, 3),
        "num_classes": 3,
        "options": {
            "family": "mlp",
            "depth": {"min": 1, "max": 3},
            "width": 8,
            "ops": ["residual", "dense"],
            "block_width": [4, 8],
        },
    },
    "mlp_tied": {
        "input_shape": (6,),
        "num_classes": 3,
        "options": {
            "family": "mlp",
            "depth": [0, 1, 2, 4],
            "width": 8,
            "ops": ["residual", "dense"],
            "block_width": [4, 8],
            "tied": True,
        },
    },
    "resnet": {
        "input_shape": (1, 8, 8),
        "num_classes": 3,
        "options": {
            "family": "resnet",
            "depth": [1, 2],
            "width": 4,
            "ops": ["basic", "bottleneck", "separable", "plain"],
            "block_width": [2, 4],
        },
    },
    "resnet_stages": {
        "input_shape": (3, 7, 5),
        "num_classes": 3,
        "options": {
            "family": "resnet",
            "stages": [{"depth": [0, 1], "width": 4}, {"depth": [1, 2], "width": [4, 8], "stride": 2}],
            "ops": ["separable", "plain", "basic"],
        },
    },
    "mobile": {
        "input_shape": (1, 8, 8),
        "num_classes": 3,
        "options": {
            "family": "mobile",
            "depth": [1, 2],
            "width": 4,
            "ops": ["inverted_residual", "separable", "fire"],
            "block_width": [3, 4],
        },
    },
    "mobile_stages": {
        "input_shape": (3, 7, 5),
        "num_classes": 3,
        "options": {
            "family": "mobile",
            "stages": [{"depth": [0, 1], "width": 5}, {"depth": [1, 2], "width": [4, 8], "stride": 2}],
            "ops": ["fire", "separable", "inverted_residual"],
        },
    },
    "transformer": {
        "input_shape": (1, 8, 8),
        "num_classes": 3,
        "options": {
            "family": "transformer",
            "depth": [1, 2, 3],
            "width": [8, 16],
            "heads": 2,
            "ops": ["encoder", "attention", "feed_forward"],
        },
    },
    "transformer_vector": {
        "input_shape": (5,),
        "num_classes": 3,
        "options": {
            "family": "transformer",
            "depth": [0, 1, 2],
            "width": 8,
            "ops": ["attention", "encoder"],
            "block_width": [8, 12],
        },
    },
    "transformer_tied": {
        "input_shape": (5,),
        "num_classes": 3,
        "options": {"family": "transformer", "depth": [1, 3], "width": [8, 12], "heads": 2, "tied": True},
    },
    "transformer_text": {
        "input_shape": (5,),
        "num_classes": 7,
        "num_tokens": 7,
        "options": {
            "family": "transformer",
            "depth": [0, 1, 2],
            "width": [8, 12],
            "heads": 2,
            "ops": ["encoder", "attention", "feed_forward"],
        },
    },
    "cell": {
        "input_shape": (3, 6, 6),
        "num_classes": 3,
        "options": {
            "family": "cell",
            "depth": [0, 1, 2],
            "width": 4,
            "ops": ["nor_conv_1x1", "skip_connect", "none"],
        },
    },
    "cell_stages": {
        "input_shape": (1, 7, 5),
        "num_classes": 3,
        "options": {
            "family": "cell",
            "stages": [{"depth": [1, 2], "width": 4}, {"depth": 1, "width": 8, "stride": 2}],
            "ops": ["nor_conv_3x3", "avg_pool_3x3"],
        },
    },
}
"""By name: the shape of one input, the number of classes (and of tokens), and the options of a study file."""

DYNAMIC: dict[str, dict[str, Any]] = {
    "dynamic": {
        "input_shape": (6,),
        "num_classes": 3,
        "options": {
            "family": "dynamic",
            "chain": {"family": "mlp", "depth": [1, 2, 4], "width": [8, 12], "ops": ["residual"]},
            "exits": {"spacing": [1, 2], "teachers": ["last", "later"]},
            "gates": {"supervised_share": [0.5, 1.0]},
        },
    },
    "dynamic_images": {
        "input_shape": (1, 8, 8),
        "num_classes": 3,
        "options": {
            "family": "dynamic",
            "chain": {
                "family": "resnet",
                "stages": [{"depth": [1, 3], "width": 4, "stride": 2}],
                "ops": ["basic", "separable"],
            },
            "gates": {"gate": ["recurrent", "ff1", "ff2"], "alpha": 0.1},
        },
    },
    "multiscale": {
        "input_shape": (3, 8, 7),
        "num_classes": 3,
        "options": {
            "family": "multiscale",
            "depth": [1, 2, 5],
            "scales": [1, 3, 4],
            "growth": [1, 3],
            "base": [1, 2],
            "step": [1, 3],
            "channels": 5,
            "head_channels": 6,
        },
    },
}
"""The same for networks that may choose their depth per input."""

EXAMPLES = {**CHAINS, **DYNAMIC}


def example_space(name: str) -> SearchSpace:
    return make_example(EXAMPLES[name])


def make_example(example: dict[str, Any]) -> SearchSpace:
    of_task = {name: value for name, value in example.items() if name != "options"}
    return make_space(example["options"], **of_task)

"""A study whose answers are worked out by hand. Depths 1 to 4, levels 0 to 4, two seeds.

Ordinary trainings, by depth:   1    2    3    4
    seed 0                     .5   .8   .8   .6
    seed 1                     .6   .8   .9   .7
    mean                       .55  .8   .85  .65     D3 is 3; its error is .1 / 2 = .05, so that 2 is tied
    rank                       1    3    4    2

`layer_fusion`, seed 0, last epoch. Level 0 is no depth of the space:
    level                0     1    2    3    4
    weight              -2    .1   .3  -.5   .4      D1 is 0; ranks of the size 1 2 4 3
    scaled              .1    .1   .2   .9   .3      D1s is 3; ranks 1 2 4 3
    alone, accuracy     .9    .4   .6   .6   .5      D2 is 3, whose loss is lower; ranks 1 3.5 3.5 2
    alone, loss         .1     2  1.2    1  1.1
    without, accuracy   .1    .5   .3   .3   .4      D4 is 2, without which the loss is higher; ranks 1 3.5 3.5 2
    without, loss        9     1  2.5    2    1
Seed 1:
    weight               0    .5   .2   .1   .1      D1 is 1; ranks 4 3 1.5 1.5
    scaled               0    .1   .2   .4   .4      D1s is 3, the shallower; ranks 1 2 3.5 3.5
    alone, accuracy      0    .5   .7   .6   .5      D2 is 2; ranks 1.5 4 3 1.5
    without, accuracy   .9    .6   .5   .4   .2      D4 is 4; ranks 1 2 3 4
`depth_posterior`, seed 0, is a posterior without readings:
    weight               0    .1   .2   .3   .4      D5 is 4; ranks 1 2 3 4
"""

from tests.nas.depth.stored import Net, Run, Super, grid, readings

BEFORE = (
    (0.0, 0.0, 0.0, 0.0, 1.0),
    readings(
        (0.0, 0.0, 0.0, 0.0, 1.0),
        (0.0, 0.0, 0.0, 0.0, 1.0),
        (1.0, 1.0, 1.0, 1.0, 0.0),
        (1.0, 1.0, 1.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 0.0, 1.0),
    ),
)
"""An earlier epoch, which would answer 4 throughout."""
FUSED_0 = (
    (-2.0, 0.1, 0.3, -0.5, 0.4),
    readings(
        (0.1, 0.1, 0.2, 0.9, 0.3),
        (0.9, 0.4, 0.6, 0.6, 0.5),
        (0.1, 2.0, 1.2, 1.0, 1.1),
        (0.1, 0.5, 0.3, 0.3, 0.4),
        (9.0, 1.0, 2.5, 2.0, 1.0),
    ),
)
FUSED_1 = (
    (0.0, 0.5, 0.2, 0.1, 0.1),
    readings(
        (0.0, 0.1, 0.2, 0.4, 0.4),
        (0.0, 0.5, 0.7, 0.6, 0.5),
        (1.0, 1.0, 1.0, 1.0, 1.0),
        (0.9, 0.6, 0.5, 0.4, 0.2),
        (1.0, 1.0, 1.0, 1.0, 1.0),
    ),
)
SHORT = Net(depth=2, score=0.2, epochs=1)
"""What a fused run makes of the rest of its budget: no ordinary training."""
GRID = [grid(0, {1: 0.5, 2: 0.8, 3: 0.8, 4: 0.6}), grid(1, {1: 0.6, 2: 0.8, 3: 0.9, 4: 0.7})]
FUSED = [
    Run(
        label="layer_fusion",
        seed=0,
        trials=[Super(relaxation="layer_fusion", epochs=[BEFORE, FUSED_0]), SHORT],
        choice=1,
    ),
    Run(label="layer_fusion", seed=1, trials=[Super(relaxation="layer_fusion", epochs=[BEFORE, FUSED_1])]),
]
DUN = [
    Run(
        label="depth_posterior",
        seed=0,
        trials=[Super(relaxation="depth_posterior", epochs=[((0.2,) * 5, {}), ((0.0, 0.1, 0.2, 0.3, 0.4), {})])],
    )
]
RUNS = [*GRID, *FUSED, *DUN]

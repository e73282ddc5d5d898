"""The policy written down a second time, as equations over NumPy arrays and with no autograd."""

import json

import numpy as np


def reference(parameters, asked):
    """Log-probabilities of the answers and entropies, one of each per decision."""
    state = parameters["start"][0]
    hidden, cell = np.zeros((2, state.size)), np.zeros((2, state.size))
    log_probabilities, entropies = [], []
    for decision in asked:
        for layer in (0, 1):
            prefix = f"layer{layer + 1}."
            gates = parameters[prefix + "input"] @ state + parameters[prefix + "input_bias"]
            gates = gates + parameters[prefix + "hidden"] @ hidden[layer] + parameters[prefix + "hidden_bias"]
            enter, keep, candidate, leave = np.split(gates, 4)
            cell[layer] = sigmoid(keep) * cell[layer] + sigmoid(enter) * np.tanh(candidate)
            state = hidden[layer] = sigmoid(leave) * np.tanh(cell[layer])
        key = f"{decision.name} {json.dumps(list(decision.options))}"
        exponentials = np.exp(parameters[f"head {key}"] @ state + parameters[f"bias {key}"])
        probabilities = exponentials / exponentials.sum()
        log_probabilities.append(np.log(probabilities[decision.options.index(decision.answer)]))
        entropies.append(-(probabilities * np.log(probabilities)).sum())
        state = parameters[f"answer {decision.name} {json.dumps(decision.answer)}"][0]
    return log_probabilities, entropies


def sigmoid(x):
    return 1 / (1 + np.exp(-x))

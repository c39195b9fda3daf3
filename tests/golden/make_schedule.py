"""Writes schedule.json: learning rates as keras.optimizers.schedules.CosineDecay gives them.

python tests/golden/make_schedule.py > tests/golden/schedule.json
"""

import json

import keras

_SETTINGS = (
    {"initial_learning_rate": 0.05, "decay_steps": 60},
    {"initial_learning_rate": 0.05, "decay_steps": 60, "alpha": 0.1},
    {
        "initial_learning_rate": 0.01,
        "decay_steps": 1000,
        "warmup_target": 0.3,
        "warmup_steps": 100,
        "alpha": 0.02,
    },
    {"initial_learning_rate": 0.0, "decay_steps": 7, "warmup_target": 1.0, "warmup_steps": 3},
)


def main():
    """Prints the file."""
    rows = []
    for settings in _SETTINGS:
        schedule = keras.optimizers.schedules.CosineDecay(**settings)
        end = settings["decay_steps"] + settings.get("warmup_steps", 0)
        steps = sorted({*range(0, end + 2, max(1, end // 40)), end - 1, end, end + 5})
        rates = [float(schedule(step)) for step in steps]
        warms = "warmup_target" in settings
        rows.append(
            {
                "start": settings["initial_learning_rate"],
                "peak": settings["warmup_target" if warms else "initial_learning_rate"],
                "floor_share": settings.get("alpha", 0.0),
                "warmup_steps": settings.get("warmup_steps", 0),
                "decay_steps": settings["decay_steps"],
                "steps": steps,
                "rates": rates,
            }
        )
    lines = ",\n".join(json.dumps(row) for row in rows)
    print(f'{{"schedules": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()

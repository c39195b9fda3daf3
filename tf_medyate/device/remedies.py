"""What a user can do about each status of a device.

Example:
    >>> REMEDIES[DeviceStatus.PUSH_DAMAGED]
    'Push it again.'
"""

from tf_medyate.device.protocol import DeviceStatus

_S = DeviceStatus
_RESEND = "Send it again; look at cable, baud rate and buffers if it happens often."
_CONNECT = "Connect again, then look at the status: it says what was carried out."
REMEDIES: dict[DeviceStatus, str] = {
    **dict.fromkeys((_S.TRUNCATED, _S.BAD_CHECKSUM, _S.BAD_LENGTH, _S.FRAME_TIMED_OUT), _RESEND),
    _S.OVERSIZED: "Send at most the payload that the device named in its hello.",
    **dict.fromkeys((_S.NO_SESSION, _S.STALE_SESSION, _S.OUT_OF_ORDER), _CONNECT),
    _S.BAD_VERSION: "Bring firmware and tf_medyate to versions that speak the same protocol.",
    _S.OTHER_MODEL: "Flash the firmware of this export, or pass the export that the board runs.",
    _S.OTHER_SHAPE: "Prepare the samples as for the model that the board runs.",
    _S.OTHER_CLASSES: "Use data with the classes of the model that the board runs.",
    _S.UNKNOWN_REQUEST: "Bring firmware and tf_medyate to the same version.",
    _S.BAD_PAYLOAD: "Bring firmware and tf_medyate to the same version.",
    _S.BAD_OFFSET: "Begin the transfer again at offset 0.",
    _S.ANSWER_TOO_LONG: "Give the firmware's session a larger answer buffer.",
    _S.NOT_SUPPORTED: "This firmware has no such function: build one that has.",
    _S.NO_SUCH_REGION: "This firmware does not offer that region.",
    _S.PUSH_DAMAGED: "Push it again.",
    _S.PUSH_TOO_LONG: "Give the firmware more room for it.",
    _S.BAD_NAME: "Choose a name of 1 to 60 bytes of UTF-8 without control characters.",
    _S.NAME_TAKEN: "Choose another name.",
    _S.NO_SPARE_CLASS: "Export with more spare outputs.",
    _S.NEEDS_PRESENCE: "Hold the board's button while you ask for it: its firmware wants that.",
    _S.TOO_SOON: "Wait, then ask again: the firmware limits how often its flash is written.",
    _S.NEEDS_KEY: "Its firmware was built with a key: pass --device_key FILE, or key= to "
    "DeviceClient. New classes are enrolled by name first.",
    _S.BAD_TAG: "Use the key that this board's firmware was built with. If it is the one, what "
    "was sent was changed on its way.",
    _S.OLD_COUNTER: "It was signed for a state that the board has left: sign it again (medyate "
    "device does that each time).",
    _S.PUSH_OF_OTHER_SIZE: "Push the whole region: the hello says how many floats it has.",
    _S.NOT_INITIALIZED: "The firmware's trainer did not start: read its log.",
    _S.SAMPLE_NOT_FINITE: "Leave this sample out.",
    _S.LABEL_OUT_OF_RANGE: "Number the classes as for the model's training.",
    _S.TARGET_NOT_FINITE: "Leave this sample out.",
    _S.SAMPLE_OF_OTHER_KIND: "The firmware gave its trainer samples of another type: correct it.",
    _S.TARGET_OUT_OF_RANGE: "Pass targets from 0 to 1: the model learns shares, or yes and no.",
    _S.LABEL_OF_OTHER_KIND: "Give a class to a classifier, a target to a regression.",
    _S.NOTHING_TO_COMMIT_TO: "This firmware learns in RAM only: pull what it learned.",
    _S.LOSS_NOT_FINITE: "Discard, and lower the learning rate.",
    _S.GRADIENTS_NOT_FINITE: "Discard, and lower the learning rate.",
    _S.COMMIT_FAILED: "Look at the status; what was learned is still in RAM.",
    _S.OP_FAILED: "Restart the board: its memory is damaged.",
    _S.EPOCH_DISCARDED: "The weights are those of the last commit: lower the learning rate.",
    **dict.fromkeys(
        (_S.NO_ARENA, _S.ARENA_NOT_ALIGNED, _S.ARENA_TOO_SMALL),
        "Give the firmware's trainer an arena of kArenaBytes, aligned to 16 bytes.",
    ),
    _S.BAD_MODEL: "Export the model again, and build the firmware from that export.",
    _S.NULL_ARGUMENT: "The firmware passed a null pointer: correct it.",
    _S.BAD_PROGRESS: "The board's records are of another firmware: reset it.",
    _S.STORE_FAILED: "Look at the status: it says what the weight store has found.",
    _S.NO_FACTORY_COPY: "Export with a factory copy, or let the host push the factory weights: "
    "medyate device --export DIR reset.",
    _S.NO_HELD_SAMPLES: "Give the firmware's guard memory to hold samples in.",
    _S.DELTA_DAMAGED: "Pull the delta again from where it came.",
    _S.DELTA_BAD_VERSION: "Bring firmware and tf_medyate to the same version.",
    _S.DELTA_OTHER_MODEL: "Push deltas of the model that the board runs.",
    _S.DELTA_NOT_MERGEABLE: "Pull differences instead of values where models change.",
    _S.DELTA_WRONG_BASE: "Reset the board first: a delta applies to factory weights.",
    _S.DELTA_NOT_FINITE: "It holds NaN or infinity: do not use it.",
    _S.STORE_NOT_OPEN: "This firmware has no weight store, or did not open it: read its log.",
    _S.STORE_BAD_CONFIG: "Correct offsets and sizes of weights and journal in the firmware.",
    _S.STORE_BAD_RUNS: "Push the weights of the model that the board runs.",
    _S.STORE_BAD_RECORD: "Choose shorter names.",
    _S.STORE_NOT_FINITE: "Nothing was changed: discard, and lower the learning rate.",
    _S.STORE_JOURNAL_TOO_SMALL: "A journal of runs takes no push of all weights: reset the board, "
    'or export with journal="pages". In firmware of your own, give it the pages of the weights and '
    "two more.",
    _S.STORE_HEAD_FULL: "Use fewer or shorter class names, or a flash with larger pages.",
    _S.STORE_WORN_OUT: "The flash is worn out: train on in RAM, and replace the board.",
    _S.STORE_OTHER_MODEL: "The board remembers another model: reset it to drop that, or flash the "
    "firmware that it had before.",
    _S.STORE_WEIGHTS_CHANGED: "The board was flashed over a learned state, or its flash has "
    "decayed: reset it, then push what was pulled before.",
    _S.STORE_JOURNAL_DAMAGED: "The last commit cannot be read any more: reset the board, then push "
    "what was pulled before.",
    _S.STORE_JOURNAL_FAILED: "The journal's flash fails: train on in RAM, pull, and replace the "
    "board.",
    _S.STORE_WEIGHTS_FAILED: "A weight page fails: the model there cannot be used. Replace the "
    "board, and push what was pulled before.",
    _S.STORE_OTHER_LAYOUT: "Another version of the firmware wrote what the board remembers: reset "
    "it, or flash that version again to pull it first.",
    _S.STORE_NOT_CLOSED: "Restart the board: the next start completes the commit.",
}
"""What a user can do about each status but OK."""

"""The commands, as a user types them, in this process."""

from tf_medyate import cli


def medyate(*words):
    return cli.main(cli.parse([str(word) for word in words]))

"""The commands of `medyate`, one a file: each adds its flags and runs.

add(commands)    adds the command's parser
run(args)        does it

common    files, progress bars, tables that several of them share
"""

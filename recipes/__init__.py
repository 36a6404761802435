"""Recipes: a model, its data and its Trainer flags, composed in a YAML file and run by one command.

``python -m nnzoo.recipes`` lists them. This file imports no recipe, so that ``python -m nnzoo.recipes.vae`` runs clean.
"""

"""Networks and their mathematics: plain torch, never lightning."""

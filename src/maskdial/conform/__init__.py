"""DOES IT DO WHAT ITS PAPER SAYS: each recipe's claims, measured over many draws against their analytic law."""

"""What a trained model can do: the same questions to every objective, each in the form that it was trained on.

    corpus → items (held-out passages) ─┐
    objective → forms, a phrasing each ─┼→ scoring (model) → probes → outcomes with intervals → differences
                                        └→ generate → behaviour
    compare: train each, question each, results.json, report
"""

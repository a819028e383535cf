# SPDX-License-Identifier: BSD-2-Clause
"""The vocoder's trainer: exact gradients, resumable, and exported weights that mean the same."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: dredge extras add train")
pytest.importorskip("ninja", reason="needs ninja: dredge extras add train")

sys.path[:0] = [str(Path(__file__).parents[2])]

from dredge_kernels.features import FeatureExtractor  # noqa: E402
from dredge_kernels.lpcnet_weights import checked  # noqa: E402
from models.training import export_vocoder, train_vocoder, vocoder_reference  # noqa: E402
from models.training.vocoder_data import Batch, Corpus, Streams  # noqa: E402
from models.training.vocoder_net import VocoderNet, kernel  # noqa: E402

HIDDEN = 32


@pytest.fixture(scope="module", autouse=True)
def compiled():
    kernel()
    torch.set_num_threads(1)


def gru(x, h, wh, b):
    """Reset-after GRU in plain PyTorch; x holds the input sums r, z, n."""
    px, ph = x.chunk(3, 1), (h @ wh).chunk(3, 1)
    r, z = torch.sigmoid(px[0] + ph[0]), torch.sigmoid(px[1] + ph[1])
    n = torch.tanh(px[2] + r * (ph[2] + b))
    return n + z * (h - n)


def plain_loss(net, batch):
    """The sample network step by step with autograd: slow and obvious."""
    c = net.condition(batch.features)
    ca, cb = net.ca(c), net.cb(c)
    streams = batch.target.shape[1]
    a, b = torch.zeros(streams, net.hidden), torch.zeros(streams, net.hidden_b)
    total = 0.0
    for t in range(len(batch.target)):
        if t % 2 == 0:
            x = torch.cat([net.emb_a[s][batch.idx_a[t // 2, :, s].long()] for s in range(8)], 1)
            n, r, z = (x @ net.wx + ca[t // 160]).chunk(3, 1)
            a = gru(torch.cat([r, z, n], 1), a, net.wh, net.bn)
        x = torch.cat([net.emb_b[s][batch.idx_b[t, :, s].long()] for s in range(3)], 1)
        half = (a @ net.wbi).chunk(2, 1)[t % 2]
        b = gru(half + x @ net.wxb + cb[t // 160], b, net.wb, net.bbn)
        total = total + tree_loss(net, b, batch.target[t])
    return total / batch.target.numel()


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
    idx_a = torch.randint(0, 128, (80 * frames, 32, 8), dtype=torch.uint8, generator=g)
    idx_b = torch.randint(0, 256, (160 * frames, 32, 3), dtype=torch.uint8, generator=g)
    target = torch.randint(0, 256, (160 * frames, 32), dtype=torch.uint8, generator=g)
    features = 0.3 * torch.randn(32, frames + 4, 20, generator=g)
    return Batch(idx_a, idx_b, target, features, torch.ones(32, dtype=torch.bool))


def run_net(net, batch, a=None, b=None):
    a, b = torch.zeros(32, net.hidden) if a is None else a, torch.zeros(32, net.hidden_b) if b is None else b
    return net(batch.idx_a, batch.idx_b, batch.target, batch.features, a, b)


def through_reference(net, batch):
    """The path of a GPU, on the CPU."""
    weights = net.weights(batch.features)
    a, b = torch.zeros(32, net.hidden), torch.zeros(32, net.hidden_b)
    return vocoder_reference.step(batch.idx_a, batch.idx_b, batch.target, a, b, *weights)


@pytest.mark.parametrize("units", [32, 24])
def test_gradients_of_both_paths_equal_those_of_plain_autograd(units):
    torch.manual_seed(0)
    net, batch = VocoderNet(HIDDEN, units), random_chunk()
    plain = plain_loss(net, batch)
    plain.backward()
    expected = {k: p.grad.clone() for k, p in net.named_parameters()}
    for path, tolerance in ((run_net, 0.02), (through_reference, 1e-4)):  # the fused products are bfloat16
        net.zero_grad()
        loss, _, _ = path(net, batch)
        loss.sum().backward()
        assert abs(loss.item() - plain.item()) < 1e-3
        for name, p in net.named_parameters():
            error = (p.grad - expected[name]).norm() / expected[name].norm()
            assert error < tolerance, f"{path.__name__}: {name}: relative error {error:.4f}"


def test_state_is_carried_from_chunk_to_chunk():
    net, batch = VocoderNet(HIDDEN, 32).requires_grad_(False), random_chunk(frames=2)
    whole = run_net(net, batch)
    f, fresh = batch.features, batch.fresh
    first = run_net(net, Batch(batch.idx_a[:80], batch.idx_b[:160], batch.target[:160], f[:, :5], fresh))
    second = run_net(net, Batch(batch.idx_a[80:], batch.idx_b[160:], batch.target[160:], f[:, 1:], fresh), *first[1:])
    assert abs(0.5 * (first[0] + second[0]) - whole[0]).item() < 1e-4
    torch.testing.assert_close(second[1], whole[1], atol=2e-2, rtol=0)


def dense(arrays, name, inputs):
    """The float matrix [inputs, outputs] that an exported block list stands for."""
    count = arrays[f"{name}_count"]
    w, n = np.zeros((8 * len(count), inputs)), 0
    for strip, blocks in enumerate(count):
        for _ in range(blocks):
            at = 4 * int(arrays[f"{name}_column"][n])
            w[8 * strip : 8 * strip + 8, at : at + 4] = arrays[f"{name}_blocks"][n]
            n += 1
    return torch.from_numpy((w * arrays[f"{name}_scale"][:, None] * 127).T.astype(np.float32))


def test_exported_integers_predict_like_the_trained_floats():
    torch.manual_seed(1)
    net, batch = VocoderNet(HIDDEN, 32).requires_grad_(False), random_chunk(1)
    arrays = checked(export_vocoder.exported({k: v.numpy() for k, v in net.state_dict().items()}))
    c = net.condition(batch.features).numpy()
    cond = [torch.from_numpy(c @ arrays[f"cond_{k}"] + arrays[f"cond_{k}_bias"]) for k in "ab"]
    tables = [torch.from_numpy(arrays[k] * arrays[f"{k}_scale"]) for k in ("table", "table_b")]
    tree = []
    for i in range(2):
        w = arrays["tree"][i] * arrays["tree_scale"][i][:, None] * 127
        tree += [torch.from_numpy(x.astype(np.float32)) for x in (w, arrays["tree_bias"][i], arrays["tree_gain"][i])]
    loss, _, _ = vocoder_reference.step(
        batch.idx_a, batch.idx_b, batch.target, torch.zeros(32, HIDDEN), torch.zeros(32, 32),
        tables[0], dense(arrays, "recur_a", HIDDEN), torch.from_numpy(arrays["bias_a"]), cond[0],
        dense(arrays, "input_b", HIDDEN), tables[1], dense(arrays, "recur_b", 32),
        torch.from_numpy(arrays["bias_b"]), cond[1], *tree)
    assert abs(loss.item() - plain_loss(net, batch).item()) < 0.02


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
    return train_vocoder.run(args)


def test_a_short_run_learns_and_can_be_exported(data, tmp_path):
    trained(data, tmp_path / "run", 30)
    losses = export_vocoder.last_losses(tmp_path / "run" / "log.csv")
    assert losses["loss"] < 5.5  # ln 256 = 5.55 knows nothing
    resumed = trained(data, tmp_path / "run", 34)
    assert resumed.budget.step == 34
    densities = {name: float(s.mask.mean()) for name, s in resumed.sparse.items()}
    assert densities == pytest.approx({"wh": 1 / 3, "wbi": 0.3}, abs=0.02)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=False)
    arrays = export_vocoder.exported(export_vocoder.averaged(state))
    export_vocoder.save(tmp_path / "a.npz", arrays)
    export_vocoder.save(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_master_weights_are_a_start(data, tmp_path):
    """Another machine goes on from what the repository holds: the loss is where it was, blocks stay empty."""
    first = trained(data, tmp_path / "a", 30)
    export_vocoder.main(["--run", str(tmp_path / "a"), "--out", str(tmp_path), "--name", "t"])
    second = trained(data, tmp_path / "b", 1, "--init", str(tmp_path / "vocoder_t_master.npz"), "--rate", "0")
    assert second.validate()["valid_nats"] == pytest.approx(first.validate()["valid_nats"], abs=0.02)
    for name in ("wh", "wbi"):
        torch.testing.assert_close(second.sparse[name].mask, (getattr(first.net, name).detach() != 0).float())


def test_a_smaller_network_starts_from_a_larger_one(data, tmp_path):
    """The pruned start knows more than a random one, and too large a wish is refused in words."""
    net = VocoderNet(64, 32)
    weights = {k: v.numpy() for k, v in net.state_dict().items()}
    np.savez(tmp_path / "large.npz", **weights)
    options = ("--init", str(tmp_path / "large.npz"))
    small = trained(data, tmp_path / "a", 1, *options, "--rate", "0")
    heard = net.wbi.detach().square().sum(1)
    keep = heard.topk(HIDDEN).indices.sort().values
    torch.testing.assert_close(small.net.wbi.detach(), net.wbi.detach()[keep], atol=1e-6, rtol=0)
    torch.testing.assert_close(small.net.ca.bias.detach()[HIDDEN : 2 * HIDDEN], net.ca.bias.detach()[keep + 64],
                               atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="at least 96 units, got 64"):
        trained(data, tmp_path / "b", 1, *options, "--hidden", "96")


def test_streams_mix_gains_and_decoded_features(data):
    with np.load(data / "train.npz") as z:
        np.savez(data / "train_decoded.npz", f=z["f"] + np.float32(0.25))
    corpus = Corpus(data / "train.npz", data / "train_decoded.npz")
    streams = Streams(corpus, 64, 2, seed=5, noise=0.0, decoded=0.5, gain=(-20.0, 0.0))
    batch = streams.next()
    shift = np.sqrt(18) / 10 * streams.gain_db
    for b in range(64):
        p = streams.position[b] - 2
        clean = corpus.conditions[0].f[p]
        offset = batch.features[b, 2, 1:] - clean[1:]
        torch.testing.assert_close(offset, torch.full((19,), 0.25 * float(streams.kind[b])), atol=1e-5, rtol=0)
        level = float(batch.features[b, 2, 0] - clean[0]) - 0.25 * streams.kind[b]
        assert level == pytest.approx(shift[b], abs=1e-4) or batch.features[b, 2, 0] < -12
    assert 0.25 < streams.kind.mean() < 0.75
    np.savez(data / "short.npz", f=np.zeros((7, 20), np.float32))
    with pytest.raises(ValueError, match=r"expected 300 frames .* got 7"):
        Corpus(data / "train.npz", data / "short.npz")


def test_a_sparse_start_is_pruned_further_from_where_it_is(data, tmp_path):
    trained(data, tmp_path / "a", 30, "--density-b", "0.6")
    export_vocoder.main(["--run", str(tmp_path / "a"), "--out", str(tmp_path), "--name", "t"])
    options = ("--init", str(tmp_path / "vocoder_t_master.npz"), "--sparse", "0", "0.5", "--density-b", "0.25")
    second = trained(data, tmp_path / "b", 20, *options)
    assert second.sparse["wbi"].start == pytest.approx([0.6] * 6, abs=0.05)
    assert float(second.sparse["wbi"].mask.mean()) == pytest.approx(0.25, abs=0.03)
    assert ((second.net.wbi.detach() != 0).float().mean()) <= 0.28
    assert float(second.sparse["wh"].mask.mean()) == pytest.approx(1 / 3, abs=0.02)


def test_only_the_first_folder_is_a_target(data):
    with np.load(data / "train.npz") as z:
        np.savez(data / "marked.npz", f=z["f"], pcm=z["pcm"], first=np.array(120))
    corpus = Corpus(data / "marked.npz")
    assert len(corpus) == 120 and len(corpus.signal) == 120 * 160


def test_masks_keep_whole_blocks_of_the_right_share():
    w = torch.randn(32, 96)
    mask = train_vocoder.block_mask(w, [0.25, 0.5, 1.0])
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
    heard = [kernel_value(int(c)) for c in batch.idx_b[:, 0, 0]]
    np.testing.assert_allclose(heard, x, atol=0.06 * np.abs(x).max() + 8)
    assert (batch.idx_a[:, :, :3] == batch.idx_b[::2] // 2).all()
    assert (batch.idx_b[1:, 0, 2] == batch.target[:-1, 0]).all()


def kernel_value(code):
    from dredge_kernels.lpcnet import from_ulaw

    return from_ulaw(code)


def test_float_and_integer_vocoders_speak_alike(data, tmp_path):
    """Same level and envelope from the master weights and from the kernels, before anything is learnt by heart."""
    from models.training.progress import Bar
    from models.training.vocoder_float import FloatVocoder, both

    net = trained(data, tmp_path / "run", 40).net.requires_grad_(False)
    arrays = export_vocoder.exported({k: v.numpy() for k, v in net.state_dict().items()})
    with np.load(data / "train.npz") as z:
        clips = [z["pcm"][16000 * i : 16000 * i + 8000] for i in range(2)]
    heard = both(net, arrays, clips)
    levels = {name: np.sqrt(np.mean(np.square(np.concatenate(x), dtype=np.float64))) for name, x in heard.items()}
    assert 0.5 < levels["float"] / levels["int8"] < 2
    rows = np.zeros((2, 5, 20), np.float32)
    twice = [FloatVocoder(net, rows, seed=3).synthesise(Bar("float")) for _ in range(2)]
    np.testing.assert_array_equal(*twice)
    assert twice[0].shape == (2, 160) and np.any(twice[0])

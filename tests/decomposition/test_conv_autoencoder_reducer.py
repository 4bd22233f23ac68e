import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch.nn import functional

from skfactor._nn._conv import PatchConv1d, Upsample, stage_lengths
from skfactor._nn._training import TensorNet
from skfactor.decomposition import AutoencoderReducer, ConvAutoencoderReducer

QUICK = {"max_epochs": 4, "channels": (4, 8), "random_state": 0}


@pytest.fixture(scope="module")
def X():
    """Waves of two amplitudes and a phase that enters nonlinearly."""
    rng = np.random.default_rng(0)
    phase, slope = rng.uniform(0, 3, (300, 1)), rng.normal(size=(300, 1))
    time = np.linspace(0, 1, 50)
    return np.sin(5 * time + phase) + slope * time + 0.05 * rng.normal(size=(300, 50))


@pytest.fixture(scope="module")
def fitted(X):
    """A fitted reducer; tests must not fit it again."""
    return ConvAutoencoderReducer(3, channels=(4, 8), max_epochs=40, random_state=0).fit(X)


def loop_convolution(layer, X):
    """Convolve one series, a list of lists (position, channel), in plain Python."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    (kernel,), (stride,) = layer.kernel_size, layer.stride
    out = []
    for block in range(-(-len(X) // stride)):
        first = block * stride - (kernel - stride) // 2
        values = []
        for channel in range(len(bias)):
            value = float(bias[channel])
            for k in range(kernel):
                position = min(max(first + k, 0), len(X) - 1)
                for c, entry in enumerate(X[position]):
                    value += float(weight[channel, c, k]) * entry
            values.append(value)
        out.append(values)
    return out


def gelu(value):
    return 0.5 * value * (1 + math.erf(value / math.sqrt(2)))


def loop_encode(module, x):
    series = [[float(value)] for value in x]
    for layer in module.encoder:
        if isinstance(layer, PatchConv1d):
            series = loop_convolution(layer, series)
        elif isinstance(layer, torch.nn.GELU):
            series = [[gelu(value) for value in position] for position in series]
    assert len(series) == 1
    return series[0]


def loop_decode(module, code):
    series = [[float(value) for value in code]]
    for layer in module.decoder:
        if isinstance(layer, Upsample):
            fine = []
            for position in loop_convolution(layer.convolution, series):
                for start in range(0, len(position), layer.n_out):
                    fine.append(position[start : start + layer.n_out])
            series = fine[: layer.length]
        elif isinstance(layer, torch.nn.GELU):
            series = [[gelu(value) for value in position] for position in series]
    return [value for (value,) in series]


@pytest.mark.parametrize(("length", "kernel", "stride"), [(50, 4, 4), (13, 5, 2), (9, 7, 3)])
def test_encoding_and_decoding_agree_with_a_plain_loop(length, kernel, stride):
    rows = np.random.default_rng(0).normal(size=(20, length))
    reducer = ConvAutoencoderReducer(3, kernel_size=kernel, stride=stride, **QUICK).fit(rows)
    module = reducer.net_.module_
    codes = reducer.transform(rows[:2])
    decoded = reducer.inverse_transform(codes)
    for i in range(2):
        np.testing.assert_allclose(codes[i], loop_encode(module, rows[i]), rtol=1e-9, atol=1e-12)
        expected = loop_decode(module, codes[i])
        assert len(expected) == length
        np.testing.assert_allclose(decoded[i], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride"), [(4, 4), (6, 2), (3, 1)])
def test_the_convolution_is_torch_s(kernel, stride):
    torch.manual_seed(0)
    layer = PatchConv1d(3, 5, kernel, stride)
    X = torch.randn(2, 24, 3)
    padding = (kernel - stride) // 2
    right = 24 // stride * stride - stride + kernel - padding - 24
    padded = functional.pad(X.transpose(1, 2), (padding, right), mode="replicate")
    expected = functional.conv1d(padded, layer.weight, layer.bias, stride).transpose(1, 2)
    torch.testing.assert_close(layer(X), expected)


def test_upsampling_is_a_transposed_convolution():
    torch.manual_seed(0)
    layer = Upsample(3, 2, 4, 4, 24)
    X = torch.randn(2, 6, 3)
    with torch.no_grad():
        layer.convolution.bias.zero_()
    weight = layer.convolution.weight.reshape(4, 2, 3).permute(2, 1, 0)  # (in, out, kernel)
    expected = functional.conv_transpose1d(X.transpose(1, 2), weight, stride=4).transpose(1, 2)
    torch.testing.assert_close(layer(X), expected)


def test_every_weight_belongs_to_a_convolution(fitted):
    module = fitted.net_.module_
    convolutions = [m for m in module.modules() if isinstance(m, torch.nn.Conv1d)]
    assert sum(p.numel() for m in convolutions for p in m.parameters()) == fitted.n_parameters_
    assert not any(isinstance(m, torch.nn.Linear | torch.nn.Flatten) for m in module.modules())


@pytest.mark.parametrize(
    ("length", "stride", "lengths"),
    [
        (256, 4, [256, 64, 16, 4, 1]),
        (256, 2, [256, 128, 64, 32, 16, 8, 4, 2, 1]),
        (252, 4, [252, 63, 16, 4, 1]),
        (3, 4, [3, 1]),
        (1, 4, [1, 1]),
    ],
)
def test_depth_follows_from_the_length(length, stride, lengths):
    assert stage_lengths(length, stride) == lengths


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 16, 17, 63, 65, 100])
@pytest.mark.parametrize("n_components", [1, 3, 7])
def test_every_length_and_code_size_is_made_exactly(length, n_components):
    rows = np.random.default_rng(0).normal(size=(12, length))
    for kernel, stride in [(4, 4), (5, 2)]:
        reducer = ConvAutoencoderReducer(
            n_components, kernel_size=kernel, stride=stride, max_epochs=1, random_state=0
        )
        codes = reducer.fit_transform(rows)
        assert codes.shape == (12, n_components)
        assert reducer.inverse_transform(codes).shape == rows.shape


def test_every_time_of_an_awkward_length_is_seen_and_made(X):
    """The last, incomplete patch counts like the others."""
    reducer = ConvAutoencoderReducer(3, **QUICK).fit(X)
    code = reducer.transform(X[:1])
    for time in (0, 1, 48, 49):
        changed = X[:1].copy()
        changed[0, time] += 1.0
        assert np.abs(reducer.transform(changed) - code).max() > 1e-6


def test_number_of_parameters(X):
    # 50 -> 13 -> 4 -> 1: (1 -> 4), (4 -> 8), (8 -> 3), each with kernel 4, and back.
    down = (4 * 4 + 4) + (4 * 4 * 8 + 8) + (8 * 4 * 3 + 3)
    up = (3 * 8 * 4 + 8 * 4) + (8 * 4 * 4 + 4 * 4) + (4 * 4 + 4)
    assert ConvAutoencoderReducer(3, **QUICK).fit(X).n_parameters_ == down + up


def test_channels_beyond_the_depth_are_not_used_and_the_last_is_repeated(X):
    def count(channels):
        return (
            ConvAutoencoderReducer(3, channels=channels, max_epochs=1, random_state=0)
            .fit(X)
            .n_parameters_
        )

    assert count((4, 8, 99)) == count((4, 8))
    assert count((6,)) == count(6) == count((6, 6))


def test_a_linear_net_reaches_the_error_of_pca():
    """With as many channels as times in a patch, convolutions can make any linear map."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 16)) + 0.1 * rng.normal(size=(200, 16))
    reducer = ConvAutoencoderReducer(
        2, channels=(4,), activation="identity", max_epochs=200, learning_rate=0.02,
        validation_fraction=0, patience=None, random_state=0,
    ).fit(rows)  # fmt: skip
    pca = PCA(2).fit(rows)
    error = np.mean((rows - pca.inverse_transform(pca.transform(rows))) ** 2)
    assert error <= -reducer.score(rows) < 1.05 * error


def test_waves_are_reconstructed_better_than_by_pca(X):
    reducer = ConvAutoencoderReducer(
        2, channels=(8, 16), max_epochs=80, learning_rate=0.006, patience=None, random_state=0
    ).fit(X)
    pca = PCA(2).fit(X)
    assert -reducer.score(X) < 0.6 * np.mean((X - pca.inverse_transform(pca.transform(X))) ** 2)


def test_score_is_minus_the_mean_squared_error_and_weights_count_rows(fitted, X):
    error = X - fitted.inverse_transform(fitted.transform(X))
    assert fitted.score(X) == pytest.approx(-np.mean(error**2))
    weight = np.arange(len(X)) % 3
    repeated = fitted.score(np.repeat(X, weight, axis=0))
    assert fitted.score(X, sample_weight=weight) == pytest.approx(repeated)


def test_history_has_a_value_an_epoch_and_loss_falls(fitted):
    assert set(fitted.history_) == {"train_loss", "valid_loss"}
    assert {len(values) for values in fitted.history_.values()} == {fitted.n_epochs_}
    assert fitted.history_["train_loss"][-1] < 0.3 * fitted.history_["train_loss"][0]


def test_the_interface_is_the_dense_reducer_s_but_for_the_layers():
    conv = set(ConvAutoencoderReducer().get_params())
    dense = set(AutoencoderReducer().get_params())
    assert conv - dense == {"channels", "kernel_size", "stride"}
    assert dense - conv == {"hidden_layer_sizes"}


@pytest.mark.parametrize(
    "activation", ["elu", "gelu", "identity", "leaky_relu", "logistic", "relu", "selu", "tanh"]
)
def test_every_activation_learns(X, activation):
    reducer = ConvAutoencoderReducer(
        3, channels=(4, 8), activation=activation, max_epochs=20, random_state=0
    ).fit(X)
    assert reducer.history_["train_loss"][-1] < 0.9 * reducer.history_["train_loss"][0]


def test_regularisers_change_training_and_not_encoding(X):
    plain = ConvAutoencoderReducer(3, **QUICK).fit(X)
    for change in ({"dropout": 0.3}, {"noise": 0.5}, {"weight_decay": 0.1}, {"loss": "mae"}):
        other = ConvAutoencoderReducer(3, **QUICK, **change).fit(X)
        assert not np.allclose(plain.transform(X), other.transform(X))
        np.testing.assert_array_equal(other.transform(X), other.transform(X))


def test_a_cosine_schedule_lowers_the_learning_rate_along_half_a_cosine(X, monkeypatch):
    rates = []
    train_step = TensorNet.train_step

    def watched_step(net, batch, **kwargs):
        rates.append(net.optimizer_.param_groups[0]["lr"])
        return train_step(net, batch, **kwargs)

    monkeypatch.setattr(TensorNet, "train_step", watched_step)
    options = {**QUICK, "learning_rate": 0.01, "batch_size": len(X)}  # one step an epoch
    ConvAutoencoderReducer(2, **options).fit(X)
    ConvAutoencoderReducer(2, schedule="cosine", **options).fit(X)
    assert rates[:4] == [0.01] * 4
    expected = [0.01 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    np.testing.assert_allclose(rates[4:], expected)


def test_two_fits_with_one_seed_are_equal_and_another_seed_differs(X):
    first, second, third = (
        ConvAutoencoderReducer(3, max_epochs=2, random_state=seed) for seed in (1, 1, 2)
    )
    codes = first.fit_transform(X)
    np.testing.assert_array_equal(codes, second.fit_transform(X))
    assert not np.allclose(codes, third.fit_transform(X))


@pytest.mark.parametrize("seed", [0, None])
def test_global_random_states_are_left_alone(X, seed):
    before_numpy, before_torch = np.random.get_state()[1].copy(), torch.get_rng_state()
    ConvAutoencoderReducer(3, max_epochs=2, dropout=0.1, noise=0.1, random_state=seed).fit(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before_numpy)
    assert torch.equal(torch.get_rng_state(), before_torch)


def test_a_row_is_encoded_the_same_alone_and_in_company(fitted, X):
    alone = np.vstack([fitted.transform(X[[i]]) for i in range(20)])
    np.testing.assert_allclose(fitted.transform(X)[:20], alone, rtol=1e-12, atol=1e-14)


def test_single_precision_comes_back_in_single_precision(fitted, X):
    codes = fitted.transform(X.astype(np.float32))
    assert codes.dtype == np.float32
    assert fitted.inverse_transform(codes).dtype == np.float32


def test_clone_and_pickle_keep_the_model(fitted, X):
    expected = fitted.transform(X)
    assert not hasattr(clone(fitted), "net_")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), expected)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_set_output_names_the_codes(X, kind):
    frame = pd.DataFrame(X, columns=[f"day{i}" for i in range(50)])
    frame = frame if kind == "pandas" else pl.from_pandas(frame)
    out = ConvAutoencoderReducer(2, **QUICK).set_output(transform=kind).fit_transform(frame)
    assert list(out.columns) == ["convautoencoderreducer0", "convautoencoderreducer1"]
    assert isinstance(out, pd.DataFrame if kind == "pandas" else pl.DataFrame)


def test_grid_search_tunes_layers_in_a_pipeline(X):
    pipeline = make_pipeline(ConvAutoencoderReducer(2, max_epochs=20, random_state=0))
    search = GridSearchCV(
        pipeline,
        {"convautoencoderreducer__channels": [(1,), (8, 16)]},
        cv=2,
        error_score="raise",
    ).fit(X)
    assert search.best_params_ == {"convautoencoderreducer__channels": (8, 16)}


def test_a_failed_fit_leaves_what_was_fitted(X):
    reducer = ConvAutoencoderReducer(2, **QUICK).fit(X)
    before = reducer.transform(X)
    with pytest.raises(ValueError, match="NaN"):
        reducer.fit(np.full((5, 4), np.nan))
    np.testing.assert_array_equal(reducer.transform(X), before)
    assert reducer.n_features_in_ == 50


@pytest.mark.parametrize("channels", [(0,), (4, -1), (2.5,), "wide", ()])
def test_channels_must_be_positive_integers(X, channels):
    with pytest.raises(ValueError, match="channels"):
        ConvAutoencoderReducer(channels=channels).fit(X)


def test_a_kernel_that_skips_times_is_refused(X):
    message = "`kernel_size` must be at least `stride`, 4, or some times are never seen; got 3"
    with pytest.raises(ValueError, match=message):
        ConvAutoencoderReducer(kernel_size=3).fit(X)


def test_a_stride_that_shortens_nothing_is_refused(X):
    with pytest.raises(ValueError, match="stride"):
        ConvAutoencoderReducer(stride=1).fit(X)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.empty((0, 3)), "0 sample"),
        (np.ones((1, 3)), "minimum of 2"),
        (np.array([[1.0, np.inf], [0.0, 1.0]]), "infinity"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), "NaN"),
        (
            pd.DataFrame({"a": [1.0, 2.0], "name": ["x", "y"]}),
            "must hold numbers; got column .name.",
        ),
    ],
)
def test_bad_rows_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        ConvAutoencoderReducer(**QUICK).fit(rows)


def test_columns_in_another_order_are_refused(X):
    frame = pd.DataFrame(X, columns=[f"day{i}" for i in range(50)])
    reducer = ConvAutoencoderReducer(2, **QUICK).fit(frame)
    with pytest.raises(ValueError, match="order"):
        reducer.transform(frame[frame.columns[::-1]])


def test_constant_rows_and_columns_are_learnt_like_any_other():
    rows = np.zeros((40, 20))
    rows[20:] = 1.0
    reducer = ConvAutoencoderReducer(
        1, channels=(4, 8), max_epochs=60, patience=None, learning_rate=0.02, random_state=0
    ).fit(rows)
    decoded = reducer.inverse_transform(reducer.transform(rows))
    np.testing.assert_allclose(decoded, rows, atol=0.15)

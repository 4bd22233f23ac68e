import io
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skfactor.decomposition import AutoencoderReducer

QUICK = {"max_epochs": 8, "batch_size": 128, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(240, 3))
    rows = np.tanh(hidden @ rng.normal(size=(3, 10))) + 0.05 * rng.normal(size=(240, 10))
    return StandardScaler().fit_transform(rows)


@pytest.fixture(scope="module")
def fitted(X):
    """A fitted reducer; tests must not fit it again."""
    return AutoencoderReducer(3, activation="relu", max_epochs=60, random_state=0).fit(X)


def _layers(sequential):
    return [m for m in sequential if isinstance(m, torch.nn.Linear)]


def _loop_forward(sequential, x):
    """Evaluate linear layers with ReLU between them, unit by unit, in plain Python."""
    layers = _layers(sequential)
    for depth, layer in enumerate(layers):
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        out = []
        for unit in range(len(bias)):
            value = float(bias[unit])
            for j, entry in enumerate(x):
                value += float(weight[unit, j]) * entry
            out.append(value if depth == len(layers) - 1 else max(value, 0.0))
        x = out
    return x


def test_transform_and_inverse_transform_agree_with_a_plain_loop(fitted, X):
    module = fitted.net_.module_
    codes = fitted.transform(X[:5])
    rows = fitted.inverse_transform(codes)
    for i in range(5):
        code = _loop_forward(module.encoder, list(X[i]))
        np.testing.assert_allclose(codes[i], code, rtol=1e-10)
        np.testing.assert_allclose(rows[i], _loop_forward(module.decoder, code), rtol=1e-9)


def test_score_is_minus_the_mean_squared_error(fitted, X):
    error = X - fitted.inverse_transform(fitted.transform(X))
    assert fitted.score(X) == pytest.approx(-np.mean(error**2))


def test_sample_weight_of_score_counts_rows(fitted, X):
    weight = np.arange(len(X)) % 3
    repeated = np.repeat(X, weight, axis=0)
    assert fitted.score(X, sample_weight=weight) == pytest.approx(fitted.score(repeated))
    labels = [f"row{i}" for i in range(len(X))]
    frame, weight = pd.DataFrame(X, labels), pd.Series(weight, labels)
    assert fitted.score(frame, sample_weight=weight) == pytest.approx(fitted.score(repeated))
    with pytest.raises(ValueError, match="rows of `X` and `sample_weight` must be the same"):
        fitted.score(frame, sample_weight=weight[::-1])


def test_a_bent_surface_is_reconstructed_better_than_by_pca(X):
    reducer = AutoencoderReducer(
        3,
        hidden_layer_sizes=(64, 32),
        max_epochs=300,
        batch_size=128,
        learning_rate=0.01,
        patience=None,
        random_state=0,
    ).fit(X)
    pca = PCA(3).fit(X)
    assert -reducer.score(X) < 0.8 * np.mean((X - pca.inverse_transform(pca.transform(X))) ** 2)


def test_a_linear_autoencoder_reaches_the_error_of_pca(X):
    reducer = AutoencoderReducer(
        3, hidden_layer_sizes=(), activation="identity", max_epochs=300, learning_rate=0.02,
        batch_size=128, validation_fraction=0, patience=None, random_state=0,
    ).fit(X)  # fmt: skip
    pca = PCA(3).fit(X)
    error = np.mean((X - pca.inverse_transform(pca.transform(X))) ** 2)
    assert error <= -reducer.score(X) < 1.02 * error


def test_history_has_a_value_an_epoch_and_loss_falls(fitted):
    assert set(fitted.history_) == {"train_loss", "valid_loss"}
    assert {len(values) for values in fitted.history_.values()} == {fitted.n_epochs_}
    assert fitted.history_["train_loss"][-1] < 0.5 * fitted.history_["train_loss"][0]


def test_recorded_training_loss_is_the_mean_over_rows_not_over_batches(X):
    # With a learning rate too small to move the weights, every batch sees the same network.
    reducer = AutoencoderReducer(
        3, max_epochs=1, batch_size=100, learning_rate=1e-12, validation_fraction=0,
        random_state=0,
    ).fit(X)  # fmt: skip
    assert reducer.history_["train_loss"][0] == pytest.approx(-reducer.score(X), rel=1e-5)


def test_early_stopping_puts_the_best_weights_back(X):
    reducer = AutoencoderReducer(
        3, max_epochs=500, patience=3, learning_rate=0.05, random_state=0
    ).fit(X)
    losses = reducer.history_["valid_loss"]
    assert reducer.n_epochs_ < 500
    assert reducer.best_epoch_ == losses.argmin() + 1 == reducer.n_epochs_ - 3
    shorter = AutoencoderReducer(
        3, max_epochs=reducer.best_epoch_, patience=None, learning_rate=0.05, random_state=0
    ).fit(X)
    np.testing.assert_array_equal(reducer.transform(X), shorter.transform(X))


def test_the_best_epoch_is_the_one_whose_weights_were_kept_though_losses_still_fell():
    hidden = np.random.default_rng(0).normal(size=(200, 5))
    X = StandardScaler().fit_transform(hidden @ np.random.default_rng(1).normal(size=(5, 12)))
    slow = {"patience": 20, "optimizer": "sgd", "learning_rate": 1e-6, "random_state": 0}
    reducer = AutoencoderReducer(3, max_epochs=200, **slow).fit(X)
    losses = reducer.history_["valid_loss"]
    assert (np.diff(losses) < 0).all()  # by less than 0.01 % in all, which does not count
    assert losses[-1] > losses[0] * (1 - 1e-4)
    assert reducer.n_epochs_ == 21
    assert reducer.best_epoch_ == 1
    first = AutoencoderReducer(3, max_epochs=1, **slow).fit(X)
    np.testing.assert_array_equal(reducer.transform(X), first.transform(X))


def test_patience_watches_the_training_loss_when_nothing_is_held_out(X):
    reducer = AutoencoderReducer(
        3, max_epochs=500, patience=2, learning_rate=0.1, validation_fraction=0, random_state=0
    ).fit(X)
    assert set(reducer.history_) == {"train_loss"}
    assert reducer.best_epoch_ == reducer.history_["train_loss"].argmin() + 1 < 500


@pytest.mark.parametrize("loss", [torch.nn.functional.mse_loss, lambda: 0.0])
def test_a_loss_that_makes_no_module_is_named(X, loss):
    with pytest.raises(ValueError, match="`loss` must be a name or, called without arguments"):
        AutoencoderReducer(loss=loss, max_epochs=1).fit(X)


def test_without_patience_all_epochs_run(X):
    reducer = AutoencoderReducer(3, max_epochs=9, patience=None, random_state=0).fit(X)
    assert reducer.n_epochs_ == reducer.best_epoch_ == 9


def test_held_out_rows_do_not_teach(X):
    """Rows whose loss is only watched leave no trace in the weights."""
    spoiled = X.copy()
    rng = np.random.default_rng(np.random.RandomState(0).randint(2**31 - 1))
    held_out = rng.permutation(len(X))[: int(np.ceil(0.25 * len(X)))]
    spoiled[held_out] = 9.0
    args = {**QUICK, "validation_fraction": 0.25, "patience": None}
    first = AutoencoderReducer(3, **args).fit(X)
    second = AutoencoderReducer(3, **args).fit(spoiled)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert second.history_["valid_loss"][-1] > 10 * first.history_["valid_loss"][-1]


@pytest.mark.parametrize(
    ("sizes", "count"),
    [((), 10 * 3 + 3 + 3 * 10 + 10), ((6,), 66 + 21 + 24 + 70), (6, 66 + 21 + 24 + 70)],
)
def test_number_of_parameters(X, sizes, count):
    reducer = AutoencoderReducer(3, hidden_layer_sizes=sizes, **QUICK).fit(X)
    assert reducer.n_parameters_ == count


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_loss_and_optimizer_learns(X, loss, optimizer):
    rate = 0.2 if optimizer == "sgd" else 0.003
    reducer = AutoencoderReducer(
        3, loss=loss, optimizer=optimizer, learning_rate=rate, max_epochs=20, random_state=0
    ).fit(X)
    assert reducer.history_["train_loss"][-1] < 0.9 * reducer.history_["train_loss"][0]


@pytest.mark.parametrize(
    "activation", ["elu", "gelu", "identity", "leaky_relu", "logistic", "relu", "selu", "tanh"]
)
def test_every_activation_learns(X, activation):
    reducer = AutoencoderReducer(3, activation=activation, max_epochs=40, random_state=0).fit(X)
    assert reducer.history_["train_loss"][-1] < 0.9 * reducer.history_["train_loss"][0]


def test_regularisers_change_training_and_not_encoding(X):
    plain = AutoencoderReducer(3, **QUICK).fit(X)
    for change in ({"dropout": 0.3}, {"noise": 0.5}, {"weight_decay": 0.1}):
        other = AutoencoderReducer(3, **QUICK, **change).fit(X)
        assert not np.allclose(plain.transform(X), other.transform(X))
        np.testing.assert_array_equal(other.transform(X), other.transform(X))


def test_two_fits_with_one_seed_are_equal_and_another_seed_differs(X):
    first, second, third = (AutoencoderReducer(3, max_epochs=3, random_state=s) for s in (1, 1, 2))
    codes = first.fit_transform(X)
    np.testing.assert_array_equal(codes, second.fit_transform(X))
    assert not np.allclose(codes, third.fit_transform(X))


@pytest.mark.parametrize("seed", [0, None])
def test_global_random_states_are_left_alone(X, seed):
    before_numpy, before_torch = np.random.get_state()[1].copy(), torch.get_rng_state()
    AutoencoderReducer(3, max_epochs=2, dropout=0.1, noise=0.1, random_state=seed).fit(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before_numpy)
    assert torch.equal(torch.get_rng_state(), before_torch)


def test_a_row_is_encoded_the_same_alone_and_in_company(fitted, X):
    alone = np.vstack([fitted.transform(X[[i]]) for i in range(20)])
    np.testing.assert_allclose(fitted.transform(X)[:20], alone, rtol=1e-12, atol=1e-14)


def test_single_precision_comes_back_in_single_precision(fitted, X):
    codes = fitted.transform(X.astype(np.float32))
    assert codes.dtype == np.float32
    assert fitted.inverse_transform(codes).dtype == np.float32
    np.testing.assert_allclose(codes, fitted.transform(X), atol=1e-5)


def test_clone_pickle_and_joblib_keep_the_model(fitted, X, tmp_path):
    expected = fitted.transform(X)
    assert not hasattr(clone(fitted), "net_")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), expected)
    joblib.dump(fitted, tmp_path / "reducer.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "reducer.joblib").transform(X), expected)


def test_a_fitted_reducer_holds_no_training_rows(X):
    big = np.tile(X, (50, 1))
    small_fit = AutoencoderReducer(3, **QUICK).fit(X)
    big_fit = AutoencoderReducer(3, max_epochs=1, random_state=0).fit(big)
    assert len(pickle.dumps(big_fit)) < len(pickle.dumps(small_fit)) + 5_000 < big.nbytes / 10


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_set_output_names_the_codes(X, kind):
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(10)])
    frame = frame if kind == "pandas" else pl.from_pandas(frame)
    reducer = AutoencoderReducer(2, **QUICK).set_output(transform=kind)
    out = reducer.fit_transform(frame)
    assert list(out.columns) == ["autoencoderreducer0", "autoencoderreducer1"]
    assert isinstance(out, pd.DataFrame if kind == "pandas" else pl.DataFrame)


def test_grid_search_tunes_it(X):
    search = GridSearchCV(
        AutoencoderReducer(max_epochs=40, random_state=0),
        {"n_components": [1, 4]},
        cv=2,
        error_score="raise",
    ).fit(X)
    assert search.best_params_ == {"n_components": 4}


def test_verbose_prints_a_line_an_epoch(X, capsys):
    AutoencoderReducer(2, max_epochs=3, verbose=1, random_state=0).fit(X)
    printed = capsys.readouterr().out
    assert "train_loss" in printed
    assert len([line for line in printed.splitlines() if line.strip()[:1].isdigit()]) == 3
    AutoencoderReducer(2, max_epochs=3, random_state=0).fit(X)
    assert capsys.readouterr().out == ""


def test_an_interrupted_fit_keeps_the_best_weights_and_passes_the_interrupt_on(X, monkeypatch):
    from skfactor._nn._training import TensorNet

    steps = []
    train_step = TensorNet.train_step

    def interrupted_step(net, batch, **kwargs):
        steps.append(1)
        if len(steps) == 10:  # in the fifth epoch of two batches
            raise KeyboardInterrupt
        return train_step(net, batch, **kwargs)

    monkeypatch.setattr(TensorNet, "train_step", interrupted_step)
    reducer = AutoencoderReducer(2, max_epochs=50, batch_size=128, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        reducer.fit(X)
    assert reducer.n_epochs_ == 4
    assert np.isfinite(reducer.transform(X)).all()


def test_an_interrupt_before_the_first_epoch_ends_leaves_what_was_fitted(X, monkeypatch):
    from skfactor._nn._training import TensorNet

    reducer = AutoencoderReducer(2, **QUICK).fit(X)
    before = reducer.transform(X)

    def interrupted_step(net, batch, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(TensorNet, "train_step", interrupted_step)
    with pytest.raises(KeyboardInterrupt):
        reducer.fit(X)
    np.testing.assert_array_equal(reducer.transform(X), before)


def test_a_failed_fit_leaves_what_was_fitted(X):
    reducer = AutoencoderReducer(2, **QUICK).fit(X)
    before = reducer.transform(X)
    with pytest.raises(ValueError, match="NaN"):
        reducer.fit(np.full((5, 4), np.nan))
    np.testing.assert_array_equal(reducer.transform(X), before)
    assert reducer.n_features_in_ == 10


def test_divergence_is_an_error_that_says_what_to_do(X):
    reducer = AutoencoderReducer(2, optimizer="sgd", learning_rate=1e6, max_epochs=5)
    with pytest.raises(ValueError, match="loss must stay finite.*lower `learning_rate`"):
        reducer.fit(X)


def test_values_beyond_single_precision_are_named(X):
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(10)])
    frame["f3"] = 1e300
    with pytest.raises(ValueError, match="single precision.*values in column 'f3'. Take logs"):
        AutoencoderReducer(**QUICK).fit(frame)


def test_a_device_that_is_not_there_is_an_error(X):
    with pytest.raises(ValueError, match="`device` must name a device.*'warp'"):
        AutoencoderReducer(device="warp").fit(X)
    with pytest.raises(ValueError, match="`device` must name a device that torch can .*'meta'"):
        AutoencoderReducer(device="meta").fit(X)


@pytest.mark.parametrize("sizes", [(0,), (4, -1), (2.5,), "wide"])
def test_hidden_layer_sizes_must_be_positive_integers(X, sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        AutoencoderReducer(hidden_layer_sizes=sizes).fit(X)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.empty((0, 3)), "0 sample"),
        (np.ones((1, 3)), "minimum of 2"),
        (np.array([[1.0, np.inf], [0.0, 1.0]]), "infinity"),
        (pd.DataFrame({"a": [1.0, 2.0], "name": ["x", "y"]}), "numbers; got column .name."),
    ],
)
def test_bad_rows_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderReducer(**QUICK).fit(rows)


def test_a_constant_column_is_learnt_like_any_other():
    rows = np.random.default_rng(0).normal(size=(60, 4))
    rows[:, 2] = 1.5
    reducer = AutoencoderReducer(
        4, hidden_layer_sizes=(), max_epochs=300, learning_rate=0.02, patience=None, random_state=0
    ).fit(rows)
    reconstructed = reducer.inverse_transform(reducer.transform(rows))
    np.testing.assert_allclose(reconstructed[:, 2], 1.5, atol=0.1)


def test_columns_in_another_order_are_refused(X):
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(10)])
    reducer = AutoencoderReducer(2, **QUICK).fit(frame)
    with pytest.raises(ValueError, match="order"):
        reducer.transform(frame[frame.columns[::-1]])


def test_codes_of_the_wrong_width_are_refused(fitted):
    with pytest.raises(ValueError, match=r"Codes must have 3 columns \(`n_components`\); got 2"):
        fitted.inverse_transform(np.zeros((4, 2)))


def test_memory_mapped_rows_are_read_and_left_unchanged(X, tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    codes = AutoencoderReducer(2, **QUICK).fit_transform(mapped)
    np.testing.assert_array_equal(codes, AutoencoderReducer(2, **QUICK).fit_transform(X))
    np.testing.assert_array_equal(np.load(path), X)


def test_torch_save_of_the_net_round_trips(fitted):
    buffer = io.BytesIO()
    torch.save(fitted.net_.module_.state_dict(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert sum(tensor.numel() for tensor in state.values()) == fitted.n_parameters_


class FourthPower(torch.nn.Module):
    """A loss of the user's own."""

    def forward(self, made, rows):
        return (made - rows).pow(4).mean()


def test_a_loss_of_ones_own_is_lowered_and_the_reducer_clones_and_pickles():
    X = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    reducer = AutoencoderReducer(
        3, loss=FourthPower, max_epochs=5, validation_fraction=0.0, random_state=0
    )
    fitted = clone(reducer).fit(X)
    error = X - fitted.inverse_transform(fitted.transform(X))
    after_training = fitted.history_["train_loss"][-1]
    assert 0.5 < (error**4).mean() / after_training < 1.5
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X)
    )

"""Rotations: one set of betas and factors out of members that each have their own."""

import numpy as np

from skfactor._typing import FloatArray

_SWEEPS = 10


def canonical_rotation(beta_moment: FloatArray, factors: FloatArray) -> FloatArray:
    """Return the change of basis that identifies betas and factors.

    Afterwards the betas' second moment is the identity, the factors' second moment is
    diagonal with falling entries, and factor means are not negative.

    Parameters
    ----------
    beta_moment : ndarray of shape (n_factors, n_factors)
        Mean over rows of the betas' outer product.
    factors : ndarray of shape (n_dates, n_factors)
        Factor returns.

    Returns
    -------
    ndarray of shape (n_factors, n_factors)
        ``A``: the new betas are ``betas @ A``, the new factors ``factors @ inv(A).T``.
    """
    values, vectors = np.linalg.eigh(beta_moment)
    floor = max(values[-1], np.finfo(float).tiny) * 1e-12
    root = np.sqrt(np.maximum(values, floor))
    whiten = vectors / root  # betas @ whiten has the identity as its moment
    scaled = factors @ (vectors * root)
    _, _, Vt = np.linalg.svd(scaled, full_matrices=False)
    if len(Vt) < scaled.shape[1]:  # fewer dates than factors: complete the basis
        _, _, Vt = np.linalg.svd(scaled, full_matrices=True)
    sign = np.where((scaled @ Vt.T).mean(axis=0) < 0, -1.0, 1.0)
    rotation: FloatArray = (whiten @ Vt.T) * sign
    return rotation


def procrustes(source: FloatArray, target: FloatArray) -> FloatArray:
    """Return the orthogonal matrix that brings ``source`` nearest to ``target``.

    Parameters
    ----------
    source, target : ndarray of shape (n_rows, n_factors)
        Betas, or factors, of the same rows.

    Returns
    -------
    ndarray of shape (n_factors, n_factors)
        ``R`` with the least sum of squares of ``source @ R - target``.
    """
    U, _, Vt = np.linalg.svd(source.T @ target)
    rotation: FloatArray = U @ Vt
    return rotation


def mutual_rotations(members: FloatArray) -> FloatArray:
    """Rotate members to their common mean (generalised Procrustes).

    Parameters
    ----------
    members : ndarray of shape (n_members, n_rows, n_factors)
        Betas of the same rows.

    Returns
    -------
    ndarray of shape (n_members, n_factors, n_factors)
        One orthogonal matrix a member.
    """
    n_members, _, n_factors = members.shape
    rotations = np.tile(np.eye(n_factors), (n_members, 1, 1))
    mean = members[0]
    for _ in range(_SWEEPS if n_members > 1 else 0):
        rotations = np.stack([procrustes(member, mean) for member in members])
        previous, mean = mean, np.matmul(members, rotations).mean(axis=0)
        if np.abs(mean - previous).max() <= 1e-10 * max(np.abs(mean).max(), 1e-300):
            break
    return rotations


def common_bases(betas: FloatArray, factors: FloatArray, n_latent: int) -> FloatArray:
    """Return the change of basis of each member that identifies and aligns it.

    Parameters
    ----------
    betas : ndarray of shape (n_members, n_rows, n_factors)
        Betas of the same rows, each member's in a rotation of its own.
    factors : ndarray of shape (n_members, n_dates, n_factors)
        Their factor returns.
    n_latent : int
        The number of leading factors whose rotation is open; the others stay as they are.

    Returns
    -------
    ndarray of shape (n_members, n_factors, n_factors)
        ``A`` of each member, as in :func:`canonical_rotation`.
    """
    K, n_members = n_latent, len(betas)
    bases = np.tile(np.eye(betas.shape[2]), (n_members, 1, 1))
    for m in range(n_members):
        latent = betas[m, :, :K]
        moment = latent.T @ latent / len(latent)
        bases[m, :K, :K] = canonical_rotation(moment, factors[m, :, :K])
    if n_members > 1:
        turned = np.matmul(betas[:, :, :K], bases[:, :K, :K])
        bases[:, :K, :K] = np.matmul(bases[:, :K, :K], mutual_rotations(turned))
        inverse = np.linalg.inv(bases[:, :K, :K])
        mean = np.matmul(factors[:, :, :K], inverse.transpose(0, 2, 1)).mean(axis=0)
        bases[:, :K, :K] = np.matmul(bases[:, :K, :K], canonical_rotation(np.eye(K), mean))
    return bases

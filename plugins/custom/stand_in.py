"""A stand-in module that uses a little of everything that a candidate may, for the warm-up before its process is locked.

torch loads some libraries on first use, and this must happen before the lock. An operation that is missing here and loads a
library later is refused, and the round reports it.
"""

SOURCE = """
import math

import torch
from torch import nn
from torch.nn import functional


class Stage(nn.Module):
    def __init__(self, graph):
        super().__init__()
        self.register_buffer("detector", graph.detector, persistent=False)
        self.register_buffer("mechanism", graph.mechanism, persistent=False)
        self.lift = nn.Linear(1, 8)
        self.norms = nn.ModuleList([nn.LayerNorm(8), nn.GroupNorm(2, 8), nn.BatchNorm1d(8), nn.InstanceNorm1d(8, affine=True)])
        self.along = nn.Conv1d(8, 8, 3, padding=1)
        self.plane = nn.Conv2d(8, 8, 3, padding=1)
        self.space = nn.Conv3d(8, 8, 3, padding=1)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.recur = nn.GRU(8, 8, batch_first=True)
        self.remember = nn.LSTM(8, 8, batch_first=True)
        self.table = nn.Embedding(2, 8)
        self.drop = nn.Dropout(0.1)
        self.mix = nn.Bilinear(8, 8, 8)
        self.fall = nn.Linear(8, 1)

    def forward(self, syndromes, beliefs):
        lit = torch.zeros_like(beliefs).index_add(1, self.mechanism, syndromes[:, self.detector])
        seen = torch.zeros_like(syndromes).scatter_add(1, self.detector.expand(len(beliefs), -1), beliefs[:, self.mechanism])
        first = functional.pad(torch.cat([lit, seen], dim=1), (0, 8))[:, :8]
        x = self.lift(first.unsqueeze(2)) + self.table((first > 0).long())
        for norm in self.norms:
            x = norm(x) if isinstance(norm, nn.LayerNorm) else norm(x.transpose(1, 2)).transpose(1, 2)
        y = functional.relu(self.along(x.transpose(1, 2)))
        y = functional.gelu(self.plane(y.unflatten(2, (2, 4))))
        y = functional.silu(self.space(y.unsqueeze(2))).flatten(2)
        y = functional.max_pool1d(y, 2) + functional.avg_pool1d(y, 2)
        y = functional.interpolate(y, scale_factor=2.0).transpose(1, 2)
        z, _ = self.attend(x, y, y)
        z = self.drop(self.layer(z))
        z, _ = self.recur(z)
        z, _ = self.remember(z)
        z = torch.einsum("sij,skj->sik", z, y).softmax(dim=2) @ self.mix(z, x)
        z = z + torch.fft.irfft(torch.fft.rfft(z, dim=1), n=8, dim=1) + torch.linalg.norm(z, dim=2, keepdim=True)
        z = torch.where(z > 0, torch.tanh(z), torch.sigmoid(z)) * math.sqrt(0.5)
        z = z.logsumexp(dim=1) + z.cumsum(dim=1).amax(dim=1) + z.sort(dim=1).values.mean(dim=1) + z.topk(2, dim=1).values.sum(1)
        return beliefs + self.fall(functional.normalize(z, dim=1)) + lit.clamp(0, 1).mul(0.1).exp().log1p()
"""

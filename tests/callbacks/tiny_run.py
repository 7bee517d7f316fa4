"""A run of seconds with everything a real one has: manual steps, an endless loader, beliefs."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler

from callbacks.checkpoint_file import CheckpointFile
from datamodules.batch import Batch
from lightning_modules.objective import Objective

CLASSES, FEATURES, TRAIN, BATCH = 3, 4, 64, 8


def draw(step):
    """Return the images and labels of a step: functions of the step alone."""
    generator = torch.Generator().manual_seed(step)
    image = torch.randn(BATCH, FEATURES, generator=generator)
    clean = image[:, :CLASSES].argmax(dim=1)
    label = torch.where(torch.rand(BATCH, generator=generator) < 0.4, (clean + 1) % CLASSES, clean)
    clean = clean.masked_fill(torch.rand(BATCH, generator=generator) < 0.2, -1)
    return Batch(image, label, clean, torch.arange(BATCH))


class Steps(torch.utils.data.Dataset):
    def __getitem__(self, step):
        return draw(step)


class Endless(Sampler):
    def __init__(self, trainer):
        self.trainer = trainer

    def __iter__(self):
        step = self.trainer.global_step
        while True:
            yield step
            step += 1


class TinyData(pl.LightningDataModule):
    batch_size, num_train = BATCH, TRAIN

    def epochs(self, steps):
        return steps * BATCH / TRAIN

    def train_dataloader(self):
        return DataLoader(Steps(), batch_size=None, sampler=Endless(self.trainer))

    def val_dataloader(self):
        return DataLoader([draw(10_000 + one) for one in range(3)], batch_size=None)


class TinyModule(pl.LightningModule):
    test_names = ("test",)

    def __init__(self, dies_at=None, error=KeyboardInterrupt):
        super().__init__()
        self.automatic_optimization = False
        self.dies_at, self.error = dies_at, error
        self.net = nn.Linear(FEATURES, CLASSES)
        with torch.no_grad():
            self.net.weight.zero_()
            self.net.bias.zero_()
        self.evaluated = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    def training_step(self, batch, batch_idx):
        assert batch_idx == self.global_step
        logits = self.net(batch.image)
        loss = nn.functional.cross_entropy(logits, batch.label)
        optimiser = self.optimizers()
        optimiser.zero_grad()
        self.manual_backward(loss)
        if self.dies_at == self.global_step + 1:
            self.die()
        optimiser.step()
        belief = logits.detach().softmax(dim=1)
        trust = belief.gather(1, batch.label[:, None])[:, 0] - 1 / CLASSES
        objective = Objective(
            loss.detach(),
            {"meta/loss": loss.detach() * 2},
            logits.detach(),
            example_weight=trust.clamp(min=0) / BATCH,
            label_mix=(trust > 0).float(),
            pseudo_label=belief,
        )
        return {"objective": objective, "batch": batch}

    def die(self):
        raise self.error

    def validation_step(self, batch, batch_idx):
        logits = self.net(batch.image)
        self.log("test/acc", (logits.argmax(1) == batch.label).float().mean(), logger=False)
        self.log("test/loss", nn.functional.cross_entropy(logits, batch.label), logger=False)

    def on_validation_end(self):
        self.evaluated.append(self.global_step)


def trainer(folder, callbacks, logger, max_steps=20, plugins=None):
    made = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_steps=max_steps,
        callbacks=callbacks,
        logger=logger,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=None,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=plugins or [CheckpointFile()],
    )
    made._signal_connector.register_signal_handlers = lambda: None  # as `build_trainer` does
    return made

"""What every method shares: the one descent step, the averaged network, evaluation."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import move_data_to_device
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, distributed, nn

from datamodules.batch import Step, Views
from datamodules.bounds import above, one_of, within
from datamodules.randomness import torch_generator
from lightning_modules.compiled import CompiledPasses
from lightning_modules.distributed import together
from lightning_modules.ema import AveragedNetwork, averaging_decay
from lightning_modules.judge import Judge
from lightning_modules.losses import l2_penalty
from lightning_modules.objective import Objective
from lightning_modules.passes import Params, Passes
from lightning_modules.repeated import Repeated
from lightning_modules.schedules import Schedule


class NoisyLabelModule(pl.LightningModule):
    """A network, how it descends, and how it is judged. A method only adds its `objective`.

    Optimisation is manual, and this is the only place that does it: one optimiser (SGD with
    momentum, no Nesterov), one backward pass, and the learning rate set anew before each step.

    Args:
        net: images `(B, 3, H, W)` → logits `(B, num_classes)`.
        num_classes: C.
        schedule: completed steps → learning rate.
        seed: all random draws of a step are functions of it, the step and the rank.
        weight_decay: factor of ½ Σ w² in the loss.
        decayed: `kernels` (weights of convolutions and dense layers) or `all` parameters.
        momentum: SGD's.
        ema_decay: the largest decay of the averaged network; 0: it is the network as it is.
        ema_order: whether the average takes in the weights `before` or `after` the step moves them.
        grad_clip: the largest norm of the gradient, or None.
        test_names: of the sets it is judged on, in the order of their loaders.
        compile: whether the passes of training go through `torch.compile`.
        cuda_graph: whether a step's gradient is recorded once, as a CUDA graph, and repeated.
    """

    uses_probe: ClassVar[bool] = False
    uses_strong_view: ClassVar[bool] = False
    learns_probe: ClassVar[bool] = False  # whether the network descends on the probe's labels

    def __init__(
        self,
        net: nn.Module,
        *,
        num_classes: int,
        schedule: Schedule,
        seed: int,
        weight_decay: float,
        decayed: str = "kernels",
        momentum: float = 0.9,
        ema_decay: float = 0.999,
        ema_order: str = "after",
        grad_clip: float | None = None,
        test_names: Sequence[str] = ("test",),
        compile: bool = False,
        cuda_graph: bool = False,
    ) -> None:
        super().__init__()
        within("model.weight_decay", weight_decay, 0)
        within("method.momentum", momentum, 0, 1)
        within("method.ema_decay", ema_decay, 0, 1)
        if grad_clip is not None:
            above("method.grad_clip", grad_clip, 0)
        one_of("model.decayed", decayed, ("kernels", "all"))
        one_of("method.ema_order", ema_order, ("before", "after"))
        self.automatic_optimization = False
        self.net = net
        self.averaged = AveragedNetwork(net)
        self.num_classes = num_classes
        self.schedule = schedule
        self.seed = seed
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.ema_decay = ema_decay
        # what is not averaged does not lag
        self.ema_order = ema_order if ema_decay else "after"
        self.grad_clip = grad_clip
        # BatchNorm's scales and shifts and all biases have one dimension
        self._decayed = frozenset(
            name for name, value in net.named_parameters() if decayed == "all" or value.ndim > 1
        )
        self.passes = CompiledPasses(net) if compile else Passes(net)
        self.repeated = Repeated(self.differentiate, net.parameters()) if cuda_graph else None
        self.test_names = tuple(test_names)
        self._judges = nn.ModuleList(Judge(name, num_classes) for name in test_names)

    @abstractmethod
    def objective(self, train: Views, probe: Views | None, draws: Any) -> Objective:
        """Return what this step descends, and what it believes of the labels.

        What differs from step to step has to come by the arguments: a CUDA graph repeats the rest.
        """

    def draw(self, generator: torch.Generator, train: Views, probe: Views | None) -> Any:
        """Return what else `objective` needs, a tuple of tensors; most methods need nothing.

        Random draws come from the generator; what follows from `global_step` belongs here too.
        """
        return None

    def training_step(self, step: Step, batch_idx: int) -> dict[str, Any]:
        """Take one step of descent; return what callbacks watch."""
        generator = torch_generator(self.seed, "method", self.global_step, self.global_rank)
        draws = self.draw(generator, step.train, step.probe)
        draws = move_data_to_device(draws, step.train.label.device)
        if self.repeated is None:  # a recording cannot be told; networks that draw are refused
            self.passes.seed = torch_generator(
                self.seed, "network", self.global_step, self.global_rank
            ).initial_seed()
        differentiate = self.repeated or self.differentiate
        objective = differentiate(step.train, step.probe, draws)
        self.descend()
        return {"objective": objective, "batch": step.batch}

    def differentiate(self, train: Views, probe: Views | None, draws: Any) -> Objective:
        """Return the objective; leave its gradient, the mean over ranks, at the parameters."""
        self._optimiser().zero_grad()
        objective = self.objective(train, probe, draws)
        # not loss.backward(): that leaves the ranks' gradients apart, silently
        self.manual_backward(objective.loss)
        return objective._replace(loss=objective.loss.detach())

    def descend(self) -> None:
        """Move the weights one step down their gradients, and average them."""
        optimiser = self._optimiser()
        for group in optimiser.param_groups:
            group["lr"] = self.schedule(self.global_step)
        if self.grad_clip is not None:
            self.clip_gradients(optimiser.optimizer, self.grad_clip, "norm")
        if self.ema_order == "before":
            self._average()
        optimiser.step()
        if self.ema_order == "after":
            self._average()
        else:
            self.averaged.copy_buffers(self.net)

    def _optimiser(self) -> LightningOptimizer:
        """Return the one optimiser in Lightning's wrapping, whose steps `global_step` counts."""
        optimiser = self.optimizers()
        assert isinstance(optimiser, LightningOptimizer)
        return optimiser

    def _average(self) -> None:
        self.averaged.update(self.net, averaging_decay(self.global_step, self.ema_decay))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the one optimiser; weight decay is part of the loss."""
        return torch.optim.SGD(self.net.parameters(), lr=self.schedule(0), momentum=self.momentum)

    # What the methods build their losses from.

    def theta(self) -> dict[str, Tensor]:
        """Return the network's parameters θ by name, but for those that are frozen."""
        return {name: one for name, one in self.net.named_parameters() if one.requires_grad}

    def logits(self, image: Tensor, theta: Params | None = None) -> Tensor:
        """Return the network's logits, `(B, C)`: at θ, or at its own parameters."""
        return self.passes.at(theta, image)

    def penalty(self, theta: Params) -> Tensor:
        """Return the weight decay of the training and look-ahead losses, scalar."""
        return l2_penalty(
            (theta[name] for name in theta if name in self._decayed), self.weight_decay
        )

    def full_penalty(self, theta: Params) -> Tensor:
        """Return the weight decay of the meta loss: over all parameters, whatever `decayed` is."""
        return l2_penalty(theta.values(), self.weight_decay)

    def momentum_buffers(self) -> dict[str, Tensor] | None:
        """Return the optimiser's momentum by parameter name, or None before the first step."""
        state = self._optimiser().optimizer.state
        buffers = {
            name: state.get(value, {}).get("momentum_buffer")
            for name, value in self.theta().items()
        }
        return None if any(buffer is None for buffer in buffers.values()) else buffers

    # Evaluation: the averaged network, by whichever Trainer, always the same numbers.

    def forward(self, image: Tensor) -> Tensor:
        """Return the averaged network's logits, `(B, C)`."""
        logits: Tensor = self.averaged(image)
        return logits.to(image.dtype)

    def on_validation_start(self) -> None:
        """Judge with rank 0's running statistics on all ranks: they are what a checkpoint holds."""
        if together():
            for buffer in self.averaged.net.buffers():
                distributed.broadcast(buffer, src=0)

    def validation_step(self, views: Views, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Judge one batch of a test set."""
        judge: Any = self._judges[dataloader_idx]
        judge.update(self(views.weak), views.label)

    def on_validation_epoch_end(self) -> None:
        """Publish `test/…` and the like, each example counted once over all ranks.

        Not to the loggers: Lightning would name the wrong step; `Evaluations` sends them.
        """
        judges: Any = self._judges
        for judge in judges:
            self.log_dict(judge.results(), logger=False)

    test_step = validation_step
    on_test_epoch_end = on_validation_epoch_end

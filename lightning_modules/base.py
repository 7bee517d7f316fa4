"""What all methods share: the SGD step, the averaged network and evaluation."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import move_data_to_device
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, distributed, nn

from datamodules.batch import Step, Views
from datamodules.config_checks import check_above, check_one_of, check_within
from datamodules.randomness import torch_generator
from lightning_modules.compiled import CompiledPasses
from lightning_modules.distributed import is_distributed
from lightning_modules.ema import AveragedNetwork, averaging_decay
from lightning_modules.evaluation_metrics import EvaluationMetrics
from lightning_modules.losses import l2_penalty
from lightning_modules.objective import Objective
from lightning_modules.passes import Params, Passes
from lightning_modules.recorded_step import RecordedStep
from lightning_modules.schedules import Schedule


class NoisyLabelModule(pl.LightningModule):
    """A network with its training step and its evaluation. A method only adds its `objective`.

    Optimisation is manual and happens only here: one optimiser (SGD with momentum, no Nesterov),
    one backward pass per step, and the learning rate set before each step.

    Args:
        net: maps images `(B, 3, H, W)` to logits `(B, num_classes)`.
        num_classes: C.
        schedule: maps the number of completed steps to the learning rate.
        seed: all random draws of a step are functions of the seed, the step and the rank.
        weight_decay: factor of ½ Σ w² in the loss.
        decayed: the parameters that decay: `kernels` (weights of convolutions and dense layers)
            or `all`.
        momentum: of SGD.
        ema_decay: largest decay of the averaged network; 0: no averaging.
        ema_order: whether the average is updated `before` or `after` the weights.
        grad_clip: largest norm of the gradient; None: no clipping.
        test_names: names of the test sets, in the order of their loaders.
        compile: whether training's passes through the network use `torch.compile`.
        cuda_graph: whether the gradient of a step is recorded once as a CUDA graph and replayed.
    """

    uses_probe: ClassVar[bool] = False
    uses_strong_view: ClassVar[bool] = False
    learns_probe: ClassVar[bool] = False  # whether the network is trained on the probe labels

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
        check_within("model.weight_decay", weight_decay, 0)
        check_within("method.momentum", momentum, 0, 1)
        check_within("method.ema_decay", ema_decay, 0, 1)
        if grad_clip is not None:
            check_above("method.grad_clip", grad_clip, 0)
        check_one_of("model.decayed", decayed, ("kernels", "all"))
        check_one_of("method.ema_order", ema_order, ("before", "after"))
        self.automatic_optimization = False
        self.net = net
        self.averaged = AveragedNetwork(net)
        self.num_classes = num_classes
        self.schedule = schedule
        self.seed = seed
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.ema_decay = ema_decay
        # without averaging, the copy must not lag a step behind
        self.ema_order = ema_order if ema_decay else "after"
        self.grad_clip = grad_clip
        # BatchNorm's scales and shifts and all biases have one dimension
        self._decayed_names = frozenset(
            name for name, value in net.named_parameters() if decayed == "all" or value.ndim > 1
        )
        self.passes = CompiledPasses(net) if compile else Passes(net)
        self.recorded_step = (
            RecordedStep(self.forward_backward, net.parameters()) if cuda_graph else None
        )
        self.test_names = tuple(test_names)
        self._evaluation_metrics = nn.ModuleList(
            EvaluationMetrics(name, num_classes) for name in test_names
        )

    @abstractmethod
    def objective(self, train: Views, probe: Views | None, draws: Any) -> Objective:
        """Return the loss of this step, and what the method believes about the labels.

        Whatever changes from step to step must come in through the arguments: a CUDA graph replays
        everything else as it was recorded.
        """

    def draw(self, generator: torch.Generator, train: Views, probe: Views | None) -> Any:
        """Return what else `objective` needs, as a tuple of tensors; most methods need nothing.

        Take random draws from the generator. What depends on `global_step` belongs here too.
        """
        return None

    def training_step(self, step: Step, batch_idx: int) -> dict[str, Any]:
        """Take one training step; return its objective and batch for the callbacks."""
        generator = torch_generator(self.seed, "method", self.global_step, self.global_rank)
        draws = self.draw(generator, step.train, step.probe)
        draws = move_data_to_device(draws, step.train.label.device)
        # A CUDA graph cannot be reseeded: with it, networks that draw random numbers are refused.
        if self.recorded_step is None:
            self.passes.seed = torch_generator(
                self.seed, "network", self.global_step, self.global_rank
            ).initial_seed()
        forward_backward = self.recorded_step or self.forward_backward
        objective = forward_backward(step.train, step.probe, draws)
        self.sgd_step()
        return {"objective": objective, "batch": step.batch}

    def forward_backward(self, train: Views, probe: Views | None, draws: Any) -> Objective:
        """Return the objective; leave the gradient, averaged over ranks, in the parameters."""
        self._optimiser().zero_grad()
        objective = self.objective(train, probe, draws)
        # not loss.backward(), which would silently skip the averaging over ranks
        self.manual_backward(objective.loss)
        return objective._replace(loss=objective.loss.detach())

    def sgd_step(self) -> None:
        """Take one SGD step at the scheduled learning rate, and update the averaged network."""
        optimiser = self._optimiser()
        for group in optimiser.param_groups:
            group["lr"] = self.schedule(self.global_step)
        if self.grad_clip is not None:
            self.clip_gradients(optimiser.optimizer, self.grad_clip, "norm")
        if self.ema_order == "before":
            self._update_average()
        optimiser.step()
        if self.ema_order == "after":
            self._update_average()
        else:
            self.averaged.copy_buffers(self.net)

    def on_train_end(self) -> None:
        """Drop the recorded step: it keeps a step's memory, and the weights move away from it."""
        self.recorded_step = None

    def _optimiser(self) -> LightningOptimizer:
        """Return the optimiser in Lightning's wrapper, whose steps `global_step` counts."""
        optimiser = self.optimizers()
        assert isinstance(optimiser, LightningOptimizer)
        return optimiser

    def _update_average(self) -> None:
        self.averaged.update(self.net, averaging_decay(self.global_step, self.ema_decay))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the SGD optimiser, without weight decay, which is part of the loss."""
        return torch.optim.SGD(self.net.parameters(), lr=self.schedule(0), momentum=self.momentum)

    # What the methods build their losses from.

    def theta(self) -> dict[str, Tensor]:
        """Return θ, the network's trainable parameters, by name."""
        return {name: value for name, value in self.net.named_parameters() if value.requires_grad}

    def logits(self, image: Tensor, theta: Params | None = None) -> Tensor:
        """Return the network's logits, `(B, C)`, at θ; None: at its own parameters."""
        return self.passes.logits(theta, image)

    def penalty(self, theta: Params) -> Tensor:
        """Return the weight decay in the training and look-ahead losses, a scalar."""
        return l2_penalty(
            (theta[name] for name in theta if name in self._decayed_names), self.weight_decay
        )

    def full_penalty(self, theta: Params) -> Tensor:
        """Return the weight decay in the meta loss: of all parameters, whatever `decayed` is."""
        return l2_penalty(theta.values(), self.weight_decay)

    def momentum_buffers(self) -> dict[str, Tensor] | None:
        """Return the optimiser's momentum by parameter name, or None before the first step."""
        state = self._optimiser().optimizer.state
        buffers = {
            name: state.get(value, {}).get("momentum_buffer")
            for name, value in self.theta().items()
        }
        return None if any(buffer is None for buffer in buffers.values()) else buffers

    # Evaluation of the averaged network, with the same numbers under any Trainer.

    def forward(self, image: Tensor) -> Tensor:
        """Return the averaged network's logits, `(B, C)`."""
        logits: Tensor = self.averaged(image)
        return logits.to(image.dtype)

    def on_validation_start(self) -> None:
        """Give all ranks the running statistics of rank 0, which are those in a checkpoint."""
        if is_distributed():
            for buffer in self.averaged.net.buffers():
                distributed.broadcast(buffer, src=0)

    def validation_step(self, views: Views, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Evaluate one batch of a test set."""
        metrics: Any = self._evaluation_metrics[dataloader_idx]
        metrics.update(self(views.weak), views.label)

    def on_validation_epoch_end(self) -> None:
        """Publish each test set's results, such as `test/acc`, over all ranks' examples.

        `Evaluations` sends them to the loggers, because Lightning would log the wrong step.
        """
        evaluation_metrics: Any = self._evaluation_metrics
        for metrics in evaluation_metrics:
            self.log_dict(metrics.compute_and_reset(), logger=False)

    test_step = validation_step
    on_test_epoch_end = on_validation_epoch_end

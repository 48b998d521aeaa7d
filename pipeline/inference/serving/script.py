"""The code of a logged MLflow model: MLflow runs a copy of this file to load the model.

The copy contains no logic: Unroll must be installed where the model is served.
"""

import warnings
from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext  # type: ignore[attr-defined]

from pipeline.inference.serving import TextModel

# MLflow would like types of the input, but the signature of the logged model describes it.
warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.pyfunc")


class ServedModel(PythonModel):
    """Answers the rows of a table with a column `text`."""

    def load_context(self, context: PythonModelContext) -> None:
        """See `PythonModel`."""
        self._model = TextModel.load(Path(context.artifacts["checkpoint"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: Any,  # noqa: ANN401 (a pandas table)
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """See `PythonModel`."""
        return self._model.answer([str(text) for text in model_input["text"]], params or {})


set_model(ServedModel())

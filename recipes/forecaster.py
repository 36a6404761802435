"""Forecasting the next steps of a time series with a recurrent network.

Windows of history and horizon, split by time; direct multi-step forecasts, instance normalisation as in RevIN (Kim et
al., ICLR 2022), days as the steps of the recurrence as in SegRNN (arXiv:2308.11200).

    python -m nnzoo.recipes.forecaster
    python -m nnzoo.recipes.forecaster --config forecaster_etth1
    python -m nnzoo.recipes.forecaster --data.csv sales.csv --data.time date --data.target units

The first uses a GENERATED series: no real one comes with the dependencies. It is an hourly electricity demand of a
made-up town, with its temperature. The second is ETTh1 (arXiv:2012.07436), with horizon 96 and the usual split; it is
downloaded to $NNZOO_DATA. The third takes history and horizon from the season and the length of the file, and the
settings of ``forecaster_csv``: training sets out from the seasonal naive forecast. Naive, seasonal-naive and ridge
forecasts of the same test windows stand in the same table. In Python,
``model(*data.last_windows())`` forecasts what comes after the data.

Test MSE of the standardised series: 0.07484 on the generated one (seasonal naive 0.1979, ridge 0.1035); 0.3709 on
ETTh1 (seasonal naive 0.5122, ridge 0.3738); means of three seeds. The README has the times and the hardware.
"""

from nnzoo.data.series.module import ForecastDataModule
from nnzoo.errors import run_main
from nnzoo.modules.forecaster import Forecaster
from nnzoo.run.recipe import run_recipe


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(Forecaster, ForecastDataModule, recipe="forecaster", args=args)


if __name__ == "__main__":
    run_main(main)

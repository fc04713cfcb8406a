"""A small data pipeline: make, join, group, reshape, write and read again."""

import io

import numpy
import pandas

generator = numpy.random.default_rng(7)
rows = 200_000
orders = pandas.DataFrame(
    {
        "customer": generator.integers(0, 5000, rows),
        "day": pandas.Timestamp("2024-01-01") + pandas.to_timedelta(generator.integers(0, 365, rows), unit="D"),
        "amount": generator.gamma(2.0, 30.0, rows).round(2),
        "kind": generator.choice(["book", "food", "tool"], rows),
    }
)
customers = pandas.DataFrame({"customer": range(5000), "city": [f"city {number % 37}" for number in range(5000)]})
joined = orders.merge(customers, on="customer")
by_city = joined.groupby(["city", "kind"])["amount"].agg(["sum", "mean", "count"])
monthly = joined.set_index("day").groupby("kind")["amount"].resample("ME").sum().unstack(0)
text = io.StringIO()
joined.head(20_000).to_csv(text, index=False)
again = pandas.read_csv(io.StringIO(text.getvalue()), parse_dates=["day"])
print(len(joined), by_city["sum"].sum().round(2), monthly.shape, again["amount"].sum().round(2))

"""What the tests of the chart compare: values, and facts about what prometheus-adapter's chart makes of them."""

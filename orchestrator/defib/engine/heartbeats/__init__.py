"""Those who report by themselves: their beats, their silences, and the monitors that stand for them."""

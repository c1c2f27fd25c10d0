"""Where a request goes: pure values and rules that the gateway follows and the controller writes."""

//! Agents that live outside a simulator: a policy server, a client, robots behind `Environment`, a web page.

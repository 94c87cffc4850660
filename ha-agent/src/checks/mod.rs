//! Health checks: probes, the supervisor that restarts a service, and what the driver hears of them.

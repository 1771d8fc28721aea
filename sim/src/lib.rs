//! Rapier scenes, tasks, the CPU camera, scripted demonstrators, visual and physical variation.

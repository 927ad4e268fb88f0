"""What every process of the program rests on: event loop, clock, configuration, log, points of failure for tests."""

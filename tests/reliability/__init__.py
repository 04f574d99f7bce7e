"""Nothing is lost when a command dies: kills, signals, full disks, torn files, several processes on one folder."""

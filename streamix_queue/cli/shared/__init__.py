"""What several verbs share: options, the choice of groups and events, confirmation, output, exit codes."""

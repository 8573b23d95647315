"""Programs that run in the sandbox beside the code they try: standard library only, and nothing of ours."""

from puna.engine.runner import main

main()

"""What a trained model keeps in mind, measured."""
